//! Three numbers: a place, a direction, a colour.

use std::ops::{Add, Mul, Neg, Sub};

/// Three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct V {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

/// Makes a vector.
pub(super) const fn v(x: f32, y: f32, z: f32) -> V {
    V { x, y, z }
}

impl V {
    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(super) fn cross(self, other: Self) -> Self {
        v(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.dot(self).sqrt().max(1e-12))
    }

    /// Multiplies part by part, as a coloured thing does with light.
    pub(super) fn tint(self, other: Self) -> Self {
        v(self.x * other.x, self.y * other.y, self.z * other.z)
    }

    /// Mixes in `part` (0 to 1) of another.
    pub(super) fn mix(self, other: Self, part: f32) -> Self {
        self * (1.0 - part) + other * part
    }

    pub(super) fn mirror(self, normal: Self) -> Self {
        self - normal * (2.0 * self.dot(normal))
    }
}

impl Add for V {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        v(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for V {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        v(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for V {
    type Output = Self;
    fn mul(self, by: f32) -> Self {
        v(self.x * by, self.y * by, self.z * by)
    }
}

impl Neg for V {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}
