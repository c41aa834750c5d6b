//! Contact sheets: many images on one.

use super::{Picture, PictureError, read};
use std::path::{Path, PathBuf};

/// Pixels between images.
const GAP: usize = 6;
/// Colour between images.
const GROUND: [u8; 3] = [24, 24, 27];
/// Most images of a sheet; more are thinned out evenly.
const IMAGES_MAX: usize = 400;

/// Answers the PNG files of a folder in the order of their names, numbers by size; not `except`.
///
/// # Errors
/// When the folder can't be read or holds none.
pub fn images(dir: &Path, except: &Path) -> Result<Vec<PathBuf>, PictureError> {
    let file_error = |source| PictureError::File {
        path: dir.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(file_error)? {
        let path = entry.map_err(file_error)?.path();
        let is_png = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
        if is_png && path.file_name() != except.file_name() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(PictureError::None {
            path: dir.to_owned(),
        });
    }
    found.sort_by_key(|path| name_key(path));
    Ok(found)
}

/// Orders `f2` before `f10`.
fn name_key(path: &Path) -> (String, u64, String) {
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name
        .get(letters.len()..)
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    (letters.to_owned(), number, name)
}

/// Lays images out on one sheet, each `width` pixels wide, in so many columns.
///
/// # Errors
/// When one can't be read.
pub fn contact_sheet(
    paths: &[PathBuf],
    columns: Option<usize>,
    width: usize,
) -> Result<Picture, PictureError> {
    let step = paths.len().div_ceil(IMAGES_MAX).max(1);
    let chosen: Vec<&PathBuf> = paths.iter().step_by(step).collect();
    let first = chosen.first().ok_or(PictureError::None {
        path: PathBuf::new(),
    })?;
    let first = read(first)?;
    let height = (first.height * width).div_ceil(first.width).max(1);
    let columns = columns
        .unwrap_or_else(|| square_columns(chosen.len()))
        .clamp(1, chosen.len());
    let rows = chosen.len().div_ceil(columns);
    let mut sheet = Picture::plain(
        columns * (width + GAP) + GAP,
        rows * (height + GAP) + GAP,
        GROUND,
    );
    for (n, path) in chosen.iter().enumerate() {
        let small = scaled(&read(path)?, width, height);
        place(
            &mut sheet,
            &small,
            GAP + n % columns * (width + GAP),
            GAP + n / columns * (height + GAP),
        );
    }
    Ok(sheet)
}

/// Answers columns that make about as many rows, rather wider than high, with a full last row where that is near.
fn square_columns(images: usize) -> usize {
    let least = (1..=images)
        .find(|columns| columns * columns >= images)
        .unwrap_or(1);
    (least..=least + 2)
        .find(|columns| images.is_multiple_of(*columns))
        .unwrap_or(least)
}

fn place(sheet: &mut Picture, image: &Picture, left: usize, top: usize) {
    for y in 0..image.height {
        for x in 0..image.width {
            sheet.set(left + x, top + y, image.pixel(x, y));
        }
    }
}

/// Makes a picture smaller by averaging, or larger by repeating.
fn scaled(image: &Picture, width: usize, height: usize) -> Picture {
    let mut small = Picture::plain(width, height, [0; 3]);
    for y in 0..height {
        for x in 0..width {
            let xs = span(x, width, image.width);
            let ys = span(y, height, image.height);
            let mut sum = [0_usize; 3];
            for source_y in ys.clone() {
                for source_x in xs.clone() {
                    for (total, part) in sum.iter_mut().zip(image.pixel(source_x, source_y)) {
                        *total += usize::from(part);
                    }
                }
            }
            let count = (xs.len() * ys.len()).max(1);
            small.set(
                x,
                y,
                sum.map(|total| u8::try_from(total / count).unwrap_or(u8::MAX)),
            );
        }
    }
    small
}

/// Answers the source pixels that fall into one of the target's, at least one.
fn span(at: usize, target: usize, source: usize) -> std::ops::Range<usize> {
    let start = (at * source / target).min(source.saturating_sub(1));
    let end = ((at + 1) * source / target).clamp(start + 1, source.max(start + 1));
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::write;

    #[test]
    fn images_are_found_in_order_and_laid_out() {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, colour) in [
            ("f10", [200, 0, 0]),
            ("f2", [0, 200, 0]),
            ("f1", [0, 0, 200]),
        ] {
            let picture = Picture::plain(40, 20, colour);
            write(&dir.path().join(format!("{name}.png")), &picture).expect("written");
        }
        let sheet_path = dir.path().join("sheet.png");
        write(&sheet_path, &Picture::plain(1, 1, [0; 3])).expect("written");
        let found = images(dir.path(), &sheet_path).expect("found");
        let names: Vec<_> = found
            .iter()
            .filter_map(|p| p.file_stem()?.to_str())
            .collect();
        assert_eq!(names, ["f1", "f2", "f10"]);
        let sheet = contact_sheet(&found, Some(2), 20).expect("a sheet");
        assert_eq!((sheet.width, sheet.height), (2 * 26 + 6, 2 * 16 + 6));
        assert_eq!(sheet.pixel(10, 10), [0, 0, 200]);
        assert_eq!(sheet.pixel(36, 10), [0, 200, 0]);
        assert_eq!(sheet.pixel(10, 26), [200, 0, 0]);
        assert_eq!(sheet.pixel(36, 26), GROUND);
    }

    #[test]
    fn what_was_written_reads_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.png");
        let picture = super::super::render(super::super::Camera {
            frame: 1,
            frames: 2,
            width: 31,
            height: 17,
        });
        write(&path, &picture).expect("written");
        assert_eq!(read(&path).expect("read"), picture);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(matches!(
            images(dir.path(), Path::new("x")),
            Err(PictureError::None { .. })
        ));
        let path = dir.path().join("x.png");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\nnonsense").expect("written");
        assert!(matches!(read(&path), Err(PictureError::Decode { .. })));
    }
}
