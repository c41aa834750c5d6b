//! PNG files.

use super::{PIXELS_MAX, Picture};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Why a picture could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file can't be opened, read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no PNG that can be read.
    #[error("{path} is no PNG image that can be read: {source}", path = path.display())]
    Decode {
        /// Which.
        path: PathBuf,
        /// Why.
        source: png::DecodingError,
    },
    /// It can't be written as PNG.
    #[error("{path} can't be written: {source}", path = path.display())]
    Encode {
        /// Which.
        path: PathBuf,
        /// Why.
        source: png::EncodingError,
    },
    /// It has too many pixels, or none.
    #[error("{path}: a picture of {width}×{height} pixels is not read (at most {PIXELS_MAX})", path = path.display())]
    Size {
        /// Which.
        path: PathBuf,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// There are no pictures.
    #[error("there are no PNG images in {path}", path = path.display())]
    None {
        /// Where.
        path: PathBuf,
    },
}

/// Writes a picture: first beside its place, then by a rename, so that a half-written one is never seen.
///
/// # Errors
/// When the file can't be written.
pub fn write(path: &Path, picture: &Picture) -> Result<(), PictureError> {
    let file_error = |source| PictureError::File {
        path: path.to_owned(),
        source,
    };
    let encode_error = |source| PictureError::Encode {
        path: path.to_owned(),
        source,
    };
    let partial = path.with_extension(format!("partial{}", std::process::id()));
    let file = File::create(&partial).map_err(file_error)?;
    let mut out = BufWriter::new(file);
    let width = u32::try_from(picture.width).unwrap_or(u32::MAX);
    let height = u32::try_from(picture.height).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(encode_error)?;
    writer
        .write_image_data(&picture.bytes)
        .map_err(encode_error)?;
    writer.finish().map_err(encode_error)?;
    out.flush().map_err(file_error)?;
    drop(out);
    std::fs::rename(&partial, path).map_err(file_error)
}

/// Reads a picture of any PNG kind; what is transparent is shown on black.
///
/// # Errors
/// When it can't be read, is no PNG or is too large.
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    let file_error = |source| PictureError::File {
        path: path.to_owned(),
        source,
    };
    let decode_error = |source| PictureError::Decode {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(file_error)?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(decode_error)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let size = || PictureError::Size {
        path: path.to_owned(),
        width,
        height,
    };
    let pixels = usize::try_from(u64::from(width) * u64::from(height)).unwrap_or(usize::MAX);
    if pixels == 0 || pixels > PIXELS_MAX {
        return Err(size());
    }
    let mut buffer = vec![0; reader.output_buffer_size().ok_or_else(size)?];
    let info = reader.next_frame(&mut buffer).map_err(decode_error)?;
    let samples = info.color_type.samples();
    let bytes = buffer
        .chunks_exact(samples)
        .take(pixels)
        .flat_map(rgb)
        .collect();
    Ok(Picture {
        width: width as usize,
        height: height as usize,
        bytes,
    })
}

/// Turns grey, grey with alpha, RGB or RGBA into RGB.
fn rgb(pixel: &[u8]) -> [u8; 3] {
    let over_black = |part: u8, alpha: u8| {
        u8::try_from(u16::from(part) * u16::from(alpha) / 255).unwrap_or(u8::MAX)
    };
    match pixel {
        [grey] => [*grey; 3],
        [grey, alpha] => [over_black(*grey, *alpha); 3],
        [r, g, b] => [*r, *g, *b],
        [r, g, b, alpha] => [
            over_black(*r, *alpha),
            over_black(*g, *alpha),
            over_black(*b, *alpha),
        ],
        _ => [0; 3],
    }
}
