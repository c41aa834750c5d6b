//! Puts what `cargo xtask web` built into the program: one entry a file of `dist`, with the form that was compressed
//! beside it (`NAME.br`). Runs nothing: without a built page the table is empty.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("dist");
    println!("cargo::rerun-if-changed=dist");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &mut files)?;
        files.sort();
    }
    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&dist).unwrap_or(file).to_string_lossy();
        let brotli = format!("{}.br", file.display());
        println!("cargo::rerun-if-changed={}", file.display());
        let bytes = fs::read(file)?;
        let (tag, plain) = (tag(&bytes), file.display().to_string());
        let _infallible = writeln!(
            table,
            "    Asset {{ path: {name:?}, tag: \"\\\"{tag:016x}\\\"\", plain: include_bytes!({plain:?}), brotli: include_bytes!({brotli:?}) }},"
        );
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("assets.rs"), table)
}

/// Finds the files that have a compressed form.
fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if PathBuf::from(format!("{}.br", path.display())).is_file() {
            into.push(path);
        }
    }
    Ok(())
}

/// Answers a name for these bytes (FNV-1a): they are our own, nobody looks for two that share one.
fn tag(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
