//! What draws the frames, and how it is called. The scenes are built in, so that the installed program is enough.

use crate::args::Renderer;
use crate::error::CliError;
use crate::local::programs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const BLENDER_SCENE: &str = include_str!("../../../../examples/blender/scene.py");
const POVRAY_SCENE: &str = include_str!("../../../../examples/povray/scene.pov");
/// Columns of an image.
const WIDTH: u32 = 320;
/// Rows of an image.
const HEIGHT: u32 = 240;

/// A renderer that is there, with its scene.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    renderer: Renderer,
    program: PathBuf,
}

impl Scene {
    /// Takes the renderer that is wanted, or the best that is there.
    pub(crate) fn choose(wanted: Option<Renderer>) -> Result<Self, CliError> {
        let find = |renderer| program_of(renderer).and_then(programs::in_path);
        let scene = |renderer, program| Self { renderer, program };
        match wanted {
            Some(Renderer::Own) => Ok(scene(Renderer::Own, PathBuf::new())),
            Some(renderer) => find(renderer)
                .map(|program| scene(renderer, program))
                .ok_or_else(|| {
                    let name = program_of(renderer).unwrap_or_default();
                    CliError::failed(format!("{name} is not in PATH")).hint(format!(
                        "install it (apt install {name}), or use --renderer own"
                    ))
                }),
            None => {
                let installed = [Renderer::Blender, Renderer::Povray].into_iter();
                let mut found =
                    installed.filter_map(|renderer| Some(scene(renderer, find(renderer)?)));
                Ok(found
                    .next()
                    .unwrap_or_else(|| scene(Renderer::Own, PathBuf::new())))
            }
        }
    }

    /// Answers its name for people.
    pub(crate) fn name(&self) -> &'static str {
        match self.renderer {
            Renderer::Blender => "Blender",
            Renderer::Povray => "POV-Ray",
            Renderer::Own => "the built-in renderer",
        }
    }

    /// Answers its name for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self.renderer {
            Renderer::Blender => "blender",
            Renderer::Povray => "povray",
            Renderer::Own => "own",
        }
    }

    /// Says whether it is our own.
    pub(crate) fn is_own(&self) -> bool {
        self.renderer == Renderer::Own
    }

    /// Writes the scene's file into a folder, for all to read.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), CliError> {
        let Some((name, text)) = self.source() else {
            return Ok(());
        };
        let path = folder.join(name);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&path);
        file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|error| CliError::failed(format!("can't write {}: {error}", path.display())))
    }

    fn source(&self) -> Option<(&'static str, &'static str)> {
        match self.renderer {
            Renderer::Blender => Some(("scene.py", BLENDER_SCENE)),
            Renderer::Povray => Some(("scene.pov", POVRAY_SCENE)),
            Renderer::Own => None,
        }
    }

    /// Answers the command for each frame; `own` is this program, `share` the folder with the scene.
    pub(crate) fn command(
        &self,
        own: &Path,
        share: &Path,
        images: &Path,
        frames: u32,
    ) -> Vec<String> {
        let scene = self
            .source()
            .map(|(name, _)| share.join(name).display().to_string())
            .unwrap_or_default();
        let image = images
            .join("frame_QB_FRAME_NUMBER.png")
            .display()
            .to_string();
        let program = self.program.display().to_string();
        let own = own.display().to_string();
        let (width, height, count) = (WIDTH.to_string(), HEIGHT.to_string(), frames.to_string());
        let size = ["--width", &width, "--height", &height];
        let frame = [
            "--frame",
            "QB_FRAME_NUMBER",
            "--frames",
            &count,
            "--out",
            &image,
        ];
        let words: Vec<&str> = match self.renderer {
            Renderer::Blender => {
                let start = [
                    &program,
                    "--background",
                    "--factory-startup",
                    "--python",
                    &scene,
                    "--",
                ];
                start.into_iter().chain(frame).chain(size).collect()
            }
            Renderer::Povray => {
                let files = [format!("+I{scene}"), format!("+O{image}")];
                let size = [
                    format!("+W{WIDTH}"),
                    format!("+H{HEIGHT}"),
                    "+A0.3".into(),
                    "+WT1".into(),
                    "-D".into(),
                ];
                let frame = [
                    "Declare=Frame=QB_FRAME_NUMBER".into(),
                    format!("Declare=Frames={count}"),
                ];
                return [program]
                    .into_iter()
                    .chain(files)
                    .chain(size)
                    .chain(frame)
                    .collect();
            }
            Renderer::Own => [&own, "render-demo"]
                .into_iter()
                .chain(frame)
                .chain(size)
                .collect(),
        };
        words.into_iter().map(str::to_owned).collect()
    }
}

fn program_of(renderer: Renderer) -> Option<&'static str> {
    match renderer {
        Renderer::Blender => Some("blender"),
        Renderer::Povray => Some("povray"),
        Renderer::Own => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_renderer_is_told_frame_and_file() {
        for renderer in [Renderer::Blender, Renderer::Povray, Renderer::Own] {
            let scene = Scene {
                renderer,
                program: "/usr/bin/x".into(),
            };
            let command = scene.command(
                Path::new("/s/tessera"),
                Path::new("/s"),
                Path::new("/images"),
                24,
            );
            assert!(
                command
                    .iter()
                    .any(|word| word.contains("/images/frame_QB_FRAME_NUMBER.png")),
                "{command:?}"
            );
            let tokens = command
                .iter()
                .filter(|word| word.contains("QB_FRAME_NUMBER"))
                .count();
            assert_eq!(tokens, 2, "{command:?}");
        }
    }
}
