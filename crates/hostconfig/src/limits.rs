//! Bounds of what is read here; each error names the one it met.

/// Bytes of `workers.toml`, and of a file to import.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Sections of one file.
pub const SECTIONS_MAX: usize = 2_048;
/// Templates that one section may name.
pub const INHERITED_MAX: usize = 32;
/// How many templates may inherit from each other in a row.
pub const DEPTH_MAX: usize = 16;
/// Templates that one section comes to, those of its templates included.
pub const CHAIN_MAX: usize = 256;
/// Longest name of a section, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// The greatest number in a range of hosts.
pub const NUMBER_MAX: u64 = 999_999_999;
/// Findings that are kept of one file.
pub const FINDINGS_MAX: usize = 1_000;
