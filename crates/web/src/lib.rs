//! The files of the web page, as `cargo xtask web` built them from `web/`.
//!
//! Owns the table of files and what each is; how they are served belongs to `supervisor`. A program that was built
//! without them has one page, which says so and how to build them.
#![forbid(unsafe_code)]

/// The page for every address of the application.
pub const INDEX: &str = "index.html";
/// Where the files lie whose names change with their content.
const HASHED: &str = "assets/";
/// What is shown instead of a page that was not built.
const MISSING: &str = include_str!("missing.html");

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its path below `/`.
    pub path: &'static str,
    /// Its entity tag, quotes included.
    pub tag: &'static str,
    /// Its bytes.
    pub plain: &'static [u8],
    /// Its bytes, compressed by Brotli.
    pub brotli: &'static [u8],
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

static STAND_IN: Asset = Asset {
    path: INDEX,
    tag: "\"missing\"",
    plain: MISSING.as_bytes(),
    brotli: &[],
};

impl Asset {
    /// Answers its media type.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map(|(_, end)| end) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("json" | "webmanifest") => "application/json",
            Some("png") => "image/png",
            Some("woff2") => "font/woff2",
            _ => "application/octet-stream",
        }
    }

    /// Says whether its name changes with its content, so that it may be kept for ever.
    #[must_use]
    pub fn is_hashed(&self) -> bool {
        self.path.starts_with(HASHED)
    }
}

/// Says whether the page is in this program.
#[must_use]
pub fn is_built() -> bool {
    !ASSETS.is_empty()
}

/// Answers the page itself, or the one that says why there is none.
#[must_use]
pub fn index() -> &'static Asset {
    asset(INDEX).unwrap_or(&STAND_IN)
}

/// Answers a file by its path below `/`.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// Answers how many bytes all files have that are sent: compressed.
#[must_use]
pub fn bytes() -> usize {
    ASSETS.iter().map(|asset| asset.brotli.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_page() {
        let page = index();
        assert_eq!(page.media_type(), "text/html; charset=utf-8");
        assert!(!page.is_hashed(), "what names the others must be fresh");
        let text = String::from_utf8_lossy(page.plain);
        assert_eq!(text.contains("cargo xtask web"), !is_built());
        for forbidden in ["<script>", "style=", "onclick", "http://"] {
            assert!(
                !text.contains(forbidden),
                "{forbidden}: the policy forbids it"
            );
        }
    }

    #[test]
    fn every_file_has_a_type_and_a_compressed_form() {
        for asset in ASSETS {
            assert_ne!(
                asset.media_type(),
                "application/octet-stream",
                "{}",
                asset.path
            );
            assert!(!asset.brotli.is_empty(), "{}", asset.path);
        }
        assert!(bytes() <= 300_000, "{} bytes are sent", bytes());
    }
}
