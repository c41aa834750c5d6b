//! Bounds of what is read here; each error names the one it met.

/// Longest expression, in bytes, as it is written and as it is printed.
pub const EXPRESSION_BYTES_MAX: usize = 4_096;
/// How deep parentheses, `not` and minus signs may stand in each other.
pub const DEPTH_MAX: usize = 32;
/// Operands, texts, numbers and entries of lists in one expression.
pub const TERMS_MAX: usize = 128;
/// Longest name of an operand, in bytes.
pub const OPERAND_BYTES_MAX: usize = 64;
/// Longest host order, in bytes.
pub const ORDER_BYTES_MAX: usize = 1_024;
/// Operands of one host order.
pub const ORDER_KEYS_MAX: usize = 16;
/// Longest path of a cluster, in bytes.
pub const CLUSTER_BYTES_MAX: usize = 255;
/// Names in one path of a cluster.
pub const CLUSTER_LEVELS_MAX: usize = 16;
/// Clusters of one job, or of one restriction.
pub const CLUSTERS_MAX: usize = 64;
/// Longest list of clusters, in bytes.
pub const CLUSTERS_BYTES_MAX: usize = 8 * 1024;
