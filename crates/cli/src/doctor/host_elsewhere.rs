//! This host: the folder of the farm.

use super::{Finding, Place, state};

/// Looks at this host.
pub(super) fn look(place: &Place) -> Vec<Finding> {
    state::look(&place.state)
}
