//! The demo's scene: a cube of mosaic tiles that turns above a polished floor.

use super::Picture;
use super::vector::{V, v};

/// Tiles along an edge of the cube.
const TILES: i32 = 9;
/// Half the edge of the cube.
const HALF: f32 = 1.0;
/// Where the middle of the cube hangs.
const MIDDLE: V = v(0.0, 1.62, 0.0);
/// Rays a pixel, along each of its sides.
const RAYS: usize = 3;
/// Width of the joint between tiles, of a tile's.
const JOINT: f32 = 0.07;
/// Towards the lamp.
const LAMP: V = v(0.46, 0.78, -0.42);
/// Bounces of a ray.
const BOUNCES: u32 = 2;

/// What the tiles of a face draw: `#` the figure, `+` its edge, the rest the ground.
const FIGURES: [[&str; 9]; 3] = [
    [
        "         ",
        " +++++++ ",
        " ####### ",
        " ++###++ ",
        "   ###   ",
        "   ###   ",
        "   ###   ",
        "   +++   ",
        "         ",
    ],
    [
        "    +    ",
        "   +#+   ",
        "  +###+  ",
        " +##+##+ ",
        "+##+ +##+",
        " +##+##+ ",
        "  +###+  ",
        "   +#+   ",
        "    +    ",
    ],
    [
        "#########",
        "#       #",
        "# +++++ #",
        "# +   + #",
        "# + # + #",
        "# +   + #",
        "# +++++ #",
        "#       #",
        "#########",
    ],
];

/// Which frame of how many, and how large the picture is.
#[derive(Debug, Clone, Copy)]
pub struct Camera {
    /// The frame, from 1.
    pub frame: u32,
    /// How many there are; after the last the first comes again without a jump.
    pub frames: u32,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Draws a frame. The same camera gives the same picture.
#[must_use]
pub fn render(camera: Camera) -> Picture {
    let mut picture = Picture::plain(camera.width, camera.height, [0; 3]);
    let scene = Scene::at(camera.frame, camera.frames);
    let eye = v(0.0, 2.55, -5.6);
    let forward = (v(0.0, 1.28, 0.0) - eye).unit();
    let right = v(0.0, 1.0, 0.0).cross(forward).unit();
    let up = forward.cross(right);
    let (width, height) = (number(camera.width), number(camera.height));
    for y in 0..camera.height {
        for x in 0..camera.width {
            let mut sum = V::default();
            for ray in 0..RAYS * RAYS {
                let dx = (number(ray % RAYS) + 0.5) / number(RAYS);
                let dy = (number(ray / RAYS) + 0.5) / number(RAYS);
                let across = (2.0 * (number(x) + dx) - width) / height;
                let along = (height - 2.0 * (number(y) + dy)) / height;
                let towards = (forward * 2.35 + right * across + up * along).unit();
                sum = sum + scene.colour(eye, towards, BOUNCES);
            }
            picture.set(x, y, shown(sum * (1.0 / number(RAYS * RAYS))));
        }
    }
    picture
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes of pictures are far below 2^24"
)]
fn number(n: usize) -> f32 {
    n as f32
}

/// Turns light into the bytes of a screen: a soft shoulder, then gamma.
fn shown(light: V) -> [u8; 3] {
    let byte = |part: f32| {
        let soft = part.max(0.0) / (1.0 + 0.22 * part.max(0.0)) * 1.1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=255"
        )]
        let byte = (soft.powf(1.0 / 2.2) * 255.0).clamp(0.0, 255.0) as u8;
        byte
    };
    [byte(light.x), byte(light.y), byte(light.z)]
}

/// The cube's own directions at a moment.
struct Scene {
    axes: [V; 3],
    lamp: V,
}

/// What a ray meets.
struct Hit {
    distance: f32,
    normal: V,
    colour: V,
    shine: f32,
}

impl Scene {
    fn at(frame: u32, frames: u32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "frame numbers are small")]
        let part = frame.saturating_sub(1) as f32 / frames.max(1) as f32;
        let turn = part * std::f32::consts::TAU;
        let (sin, cos) = turn.sin_cos();
        let (tilt_sin, tilt_cos) = (0.52 + 0.12 * turn.sin()).sin_cos();
        let side = v(cos, 0.0, sin);
        let front = v(-sin, 0.0, cos);
        let tilted = v(0.0, tilt_cos, 0.0) + front * tilt_sin;
        let third = side.cross(tilted);
        Self {
            axes: [side, tilted, third],
            lamp: LAMP.unit(),
        }
    }

    fn colour(&self, from: V, towards: V, bounces: u32) -> V {
        let Some(hit) = self.first_hit(from, towards) else {
            return sky(towards);
        };
        let place = from + towards * hit.distance + hit.normal * 1e-3;
        let is_lit = self.cube(place, self.lamp).is_none();
        let facing = hit.normal.dot(self.lamp).max(0.0);
        let direct = if is_lit {
            v(1.32, 1.22, 1.05) * facing
        } else {
            V::default()
        };
        let ambient = v(0.17, 0.21, 0.30).mix(v(0.36, 0.40, 0.48), 0.5 + 0.5 * hit.normal.y);
        let mut light = hit
            .colour
            .tint(direct + ambient * self.openness(place, hit.normal));
        let mirrored = towards.mirror(hit.normal);
        if is_lit {
            light = light
                + v(1.0, 0.95, 0.85)
                    * (mirrored.dot(self.lamp).max(0.0).powi(48) * hit.shine * 1.6);
        }
        if bounces == 0 || hit.shine < 0.02 {
            return light;
        }
        let grazing = (1.0 + towards.dot(hit.normal)).clamp(0.0, 1.0).powi(4);
        let part = (hit.shine * (0.25 + 0.75 * grazing)).min(0.9);
        light.mix(self.colour(place, mirrored, bounces - 1), part)
    }

    fn first_hit(&self, from: V, towards: V) -> Option<Hit> {
        let cube = self.cube(from, towards).map(|(distance, axis, sign)| {
            let normal = self.axes[axis] * sign;
            let place = from + towards * distance - MIDDLE;
            self.tile(place, axis, sign, normal, distance)
        });
        match (cube, floor(from, towards)) {
            (Some(cube), Some(floor)) if cube.distance > floor.distance => Some(floor),
            (None, floor) => floor,
            (cube, _) => cube,
        }
    }

    /// Answers where a ray enters the cube: distance, axis and side of the face.
    fn cube(&self, from: V, towards: V) -> Option<(f32, usize, f32)> {
        let origin = from - MIDDLE;
        let (mut near, mut far, mut face, mut side) = (f32::NEG_INFINITY, f32::INFINITY, 0, 1.0);
        for (n, axis) in self.axes.iter().enumerate() {
            let (start, step) = (origin.dot(*axis), towards.dot(*axis));
            let inverse = 1.0 / if step.abs() < 1e-9 { 1e-9 } else { step };
            let (a, b) = ((-HALF - start) * inverse, (HALF - start) * inverse);
            if a.min(b) > near {
                (near, face, side) = (a.min(b), n, -step.signum());
            }
            far = far.min(a.max(b));
        }
        (near < far && near > 1e-3).then_some((near, face, side))
    }

    /// Answers the tile, or the joint, at a place of a face.
    fn tile(&self, place: V, axis: usize, sign: f32, normal: V, distance: f32) -> Hit {
        let across = self.axes[(axis + 1) % 3];
        let along = self.axes[(axis + 2) % 3];
        #[expect(clippy::cast_precision_loss, reason = "a small constant")]
        let scale = TILES as f32 / (2.0 * HALF);
        let (a, b) = (
            (place.dot(across) + HALF) * scale,
            (place.dot(along) + HALF) * scale,
        );
        let (row, column) = (cell(b), cell(a));
        let (in_a, in_b) = (a - a.floor(), b - b.floor());
        let edge = in_a.min(1.0 - in_a).min(in_b.min(1.0 - in_b));
        if edge < JOINT {
            return Hit {
                distance,
                normal,
                colour: v(0.07, 0.065, 0.06),
                shine: 0.0,
            };
        }
        let face = if sign > 0.0 { axis } else { axis + 3 };
        let chance = noise(row, column, i32::try_from(face).unwrap_or(0));
        let lean =
            across * ((chance - 0.5) * 0.16) + along * ((noise(column, row, 7) - 0.5) * 0.16);
        let (colour, shine) = smalto(figure(axis, row, column), face, chance);
        Hit {
            distance,
            normal: (normal + lean).unit(),
            colour,
            shine,
        }
    }

    /// Guesses how much of the sky a place sees: under the cube it is darker.
    fn openness(&self, place: V, normal: V) -> f32 {
        let gap = place - v(MIDDLE.x, 0.0, MIDDLE.z);
        let reach = (gap.x * gap.x + gap.z * gap.z).sqrt();
        let below = (1.0 - place.y / (MIDDLE.y - HALF)).clamp(0.0, 1.0);
        let shade = below * (1.0 - reach / 2.4).clamp(0.0, 1.0) * normal.y.max(0.0);
        1.0 - 0.75 * shade * self.axes[1].y.abs().min(1.0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the tiles there are"
)]
fn cell(at: f32) -> i32 {
    (at.floor() as i32).clamp(0, TILES - 1)
}

fn figure(axis: usize, row: i32, column: i32) -> u8 {
    let line = usize::try_from(TILES - 1 - row)
        .ok()
        .and_then(|row| FIGURES.get(axis)?.get(row));
    let byte = line.and_then(|line| line.as_bytes().get(usize::try_from(column).ok()?));
    byte.copied().unwrap_or(b' ')
}

/// Answers the colour and shine of a tile; the figure is gold leaf.
fn smalto(figure: u8, face: usize, chance: f32) -> (V, f32) {
    const GROUNDS: [V; 6] = [
        v(0.05, 0.20, 0.42),
        v(0.52, 0.10, 0.08),
        v(0.04, 0.33, 0.30),
        v(0.30, 0.10, 0.34),
        v(0.08, 0.34, 0.12),
        v(0.55, 0.28, 0.05),
    ];
    let ground = GROUNDS.get(face).copied().unwrap_or_default();
    let shade = 0.72 + 0.56 * chance;
    match figure {
        b'#' => (v(0.92, 0.66, 0.20) * shade, 0.42),
        b'+' => (v(0.86, 0.83, 0.74) * shade, 0.14),
        _ => (ground * shade, 0.20),
    }
}

/// The floor: large dark tiles, polished.
fn floor(from: V, towards: V) -> Option<Hit> {
    let distance = -from.y / towards.y;
    if towards.y > -1e-4 || !(1e-3..60.0).contains(&distance) {
        return None;
    }
    let place = from + towards * distance;
    let (a, b) = (place.x * 0.9, place.z * 0.9);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a floor of a few hundred tiles"
    )]
    let (row, column) = (b.floor() as i32, a.floor() as i32);
    let edge = (a - a.floor())
        .min(1.0 - (a - a.floor()))
        .min((b - b.floor()).min(1.0 - (b - b.floor())));
    let checker = if (row + column).rem_euclid(2) == 0 {
        0.13
    } else {
        0.23
    };
    let tone = checker * (0.8 + 0.4 * noise(row, column, 9));
    let far = (distance / 26.0).min(1.0);
    let colour = if edge < 0.022 {
        v(0.03, 0.03, 0.03)
    } else {
        v(0.92, 0.96, 1.08) * tone
    };
    let colour = colour.mix(v(0.16, 0.20, 0.27), far);
    Some(Hit {
        distance,
        normal: v(0.0, 1.0, 0.0),
        colour,
        shine: 0.36 * (1.0 - far),
    })
}

fn sky(towards: V) -> V {
    let height = towards.y.clamp(0.0, 1.0);
    let glow = towards.dot(LAMP.unit()).max(0.0);
    let sky = v(0.50, 0.47, 0.46).mix(v(0.07, 0.12, 0.24), height.powf(0.55));
    sky + v(1.0, 0.80, 0.52) * (0.32 * glow.powi(6))
}

/// A number from 0 to 1 that is always the same for the same place.
fn noise(a: i32, b: i32, c: i32) -> f32 {
    let mut bits = a.cast_unsigned().wrapping_mul(0x9e37_79b1)
        ^ b.cast_unsigned().wrapping_mul(0x85eb_ca77)
        ^ c.cast_unsigned().wrapping_mul(0xc2b2_ae3d);
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x2c1b_3c6d);
    bits ^= bits >> 13;
    #[expect(clippy::cast_precision_loss, reason = "16 bits")]
    let part = (bits & 0xffff) as f32;
    part / 65_535.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(frame: u32) -> Picture {
        render(Camera {
            frame,
            frames: 8,
            width: 64,
            height: 48,
        })
    }

    #[test]
    fn a_frame_is_drawn_alike_each_time_and_frames_differ() {
        assert_eq!(small(3), small(3));
        assert_ne!(small(3), small(4));
        assert_eq!(small(1), small(9), "the animation does not close");
    }

    #[test]
    fn there_is_something_to_see() {
        let picture = small(2);
        let mut colours: Vec<[u8; 3]> = picture
            .bytes
            .chunks_exact(3)
            .map(|p| [p[0] / 16, p[1] / 16, p[2] / 16])
            .collect();
        colours.sort_unstable();
        colours.dedup();
        assert!(colours.len() > 60, "only {} colours", colours.len());
    }
}
