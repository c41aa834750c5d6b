//! Pictures without anything installed: a small ray tracer and contact sheets, written as PNG.

mod file;
mod scene;
mod sheet;
mod vector;

pub use file::{PictureError, read, write};
pub use scene::{Camera, render};
pub use sheet::{contact_sheet, images};

/// Most pixels of a picture that is read or made.
pub const PIXELS_MAX: usize = 64 * 1024 * 1024;

/// A picture: red, green and blue, a byte each, row by row from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Three bytes a pixel.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Makes a picture of one colour.
    #[must_use]
    pub fn plain(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            bytes: colour.repeat(width * height),
        }
    }

    /// Answers a pixel; black outside.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let start = (y * self.width + x) * 3;
        match self.bytes.get(start..start + 3) {
            Some([r, g, b]) if x < self.width => [*r, *g, *b],
            _ => [0; 3],
        }
    }

    /// Sets a pixel; outside nothing happens.
    pub fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        let start = (y * self.width + x) * 3;
        if x < self.width
            && let Some(pixel) = self.bytes.get_mut(start..start + 3)
        {
            pixel.copy_from_slice(&colour);
        }
    }
}
