//! Which GPUs the host has. On Linux the kernel's list of devices says so: those of NVIDIA and AMD that their driver has, in the order of
//! their places; Intel's are in most processors and are left to `worker_gpus`. What the kernel doesn't know of NVIDIA's, and all of
//! Windows, is asked of `nvidia-smi`. A device that somebody else has (passed through to a guest) is none of ours.

use std::path::Path;
use std::time::Duration;

use tessera_model::gpu::{Gpu, GpuVendor, Gpus};

use crate::tool::ask;

/// How long `nvidia-smi` may take: it loads the driver where nothing keeps that loaded.
const NVIDIA_SMI_TIMEOUT: Duration = Duration::from_secs(10);

/// The most looks between two questions for what it did not say.
const PAUSE_MAX: u32 = 64;

/// One that was found, with its place on the bus: `0000:01:00.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    place: String,
    gpu: Gpu,
}

/// When `nvidia-smi` is asked again for memory that it did not say: after 1, 2, 4 looks and so on, at most [`PAUSE_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// Looks to wait for still.
    left: u32,
    /// Looks that were waited for last.
    pause: u32,
    /// It was said in the log.
    is_told: bool,
}

impl Asking {
    /// Counts a look; says whether it is time.
    fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// Others are there: what is not known of them is asked at once.
    fn begin_anew(&mut self) {
        (self.left, self.pause) = (0, 0);
    }

    /// Notes what was answered; says whether that is to be told, which it is once.
    fn heard(&mut self, all: &Gpus) -> bool {
        if is_whole(all) {
            self.begin_anew();
            return false;
        }
        self.pause = (self.pause * 2).clamp(1, PAUSE_MAX);
        self.left = self.pause;
        !std::mem::replace(&mut self.is_told, true)
    }
}

/// Looks which there are; what the last look `known` said of the same ones is not asked again, but for memory that it lacks.
pub(crate) async fn look(known: &Gpus, asking: &mut Asking) -> Gpus {
    let found = if cfg!(target_os = "linux") {
        let mut found = in_tree(Path::new("/"));
        if is_same(&found, known) {
            if is_whole(known) || !asking.is_due() {
                return known.clone();
            }
            recall_memory(&mut found, known);
        } else {
            asking.begin_anew();
        }
        found
    } else if cfg!(windows) && (known.all().is_empty() || (!is_whole(known) && asking.is_due())) {
        Vec::new()
    } else {
        return known.clone();
    };
    let is_asked = cfg!(windows) || found.iter().any(|it| it.gpu.vendor == GpuVendor::Nvidia);
    if !is_asked {
        return gpus_of(found);
    }
    let args = [
        "--query-gpu=pci.bus_id,name,memory.total",
        "--format=csv,noheader,nounits",
    ];
    let all = match ask("nvidia-smi", &args, NVIDIA_SMI_TIMEOUT).await {
        Ok(said) if cfg!(windows) => gpus_of(said_by_smi(&said)),
        Ok(said) => gpus_of(with_memory(found, &said_by_smi(&said))),
        Err(why) => {
            tracing::debug!(%why, "nvidia-smi was asked what the GPUs are");
            if cfg!(windows) {
                known.clone()
            } else {
                gpus_of(found)
            }
        }
    };
    if asking.heard(&all) {
        tracing::warn!(gpus = %all, "nvidia-smi does not say how much memory each NVIDIA GPU has; it is asked again, or say it as worker_gpus");
    }
    all
}

/// Says whether the memory of each of NVIDIA's is known; other drivers say theirs in files, or not at all.
fn is_whole(known: &Gpus) -> bool {
    let mut of_nvidia = known
        .all()
        .iter()
        .filter(|it| it.vendor == GpuVendor::Nvidia);
    of_nvidia.all(|it| it.memory.is_some())
}

/// Adds the memory that the last look said of the same ones.
fn recall_memory(found: &mut [Found], known: &Gpus) {
    for (it, known) in found.iter_mut().zip(known.all()) {
        it.gpu.memory = it.gpu.memory.or(known.memory);
    }
}

fn gpus_of(found: Vec<Found>) -> Gpus {
    Gpus::new(found.into_iter().map(|it| it.gpu).collect())
}

/// Says whether these are the ones that are known already, whatever more is known of them.
fn is_same(found: &[Found], known: &Gpus) -> bool {
    let known = known.all();
    let same = |(a, b): (&Found, &Gpu)| a.gpu.vendor == b.vendor && a.gpu.model == b.model;
    found.len().min(tessera_model::gpu::GPUS_MAX) == known.len()
        && found.iter().zip(known).all(same)
}

/// Looks through the kernel's list below a root.
fn in_tree(root: &Path) -> Vec<Found> {
    let devices = std::fs::read_dir(root.join("sys/bus/pci/devices"));
    let all = devices.into_iter().flatten().flatten();
    let mut found: Vec<Found> = all
        .filter_map(|entry| device(root, &entry.file_name().into_string().ok()?))
        .collect();
    // A place has as many digits as it needs at its front.
    found.sort_by(|a, b| (a.place.len(), &a.place).cmp(&(b.place.len(), &b.place)));
    found
}

fn device(root: &Path, place: &str) -> Option<Found> {
    let folder = root.join("sys/bus/pci/devices").join(place);
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    // Display controllers: VGA (0x0300), 3D (0x0302), others (0x0380).
    if !read("class")?.starts_with("0x03") {
        return None;
    }
    let driver = std::fs::read_link(folder.join("driver")).ok()?;
    let gpu = match driver.file_name()?.to_str()? {
        "nvidia" => {
            let about = root.join("proc/driver/nvidia/gpus").join(place);
            let about = std::fs::read_to_string(about.join("information")).unwrap_or_default();
            let model = about.lines().find_map(|line| line.strip_prefix("Model:"));
            Gpu::named(GpuVendor::Nvidia, model.unwrap_or("NVIDIA"), None)
        }
        "amdgpu" => {
            let number = read("device").unwrap_or_default();
            let number = format!("AMD {}", number.trim_start_matches("0x"));
            let model = read("product_name").filter(|name| !name.is_empty());
            let bytes: Option<u64> = read("mem_info_vram_total").and_then(|it| it.parse().ok());
            let memory = bytes.map(|bytes| bytes >> 20).filter(|mib| *mib > 0);
            Gpu::named(GpuVendor::Amd, &model.unwrap_or(number), memory)
        }
        _ => return None,
    };
    Some(Found {
        place: place.to_ascii_lowercase(),
        gpu,
    })
}

/// Reads lines like `00000000:01:00.0, NVIDIA RTX A6000, 49140`, in the order of the places.
fn said_by_smi(text: &str) -> Vec<Found> {
    let line = |line: &str| {
        let (place, rest) = line.split_once(',')?;
        let (name, memory) = rest.rsplit_once(',')?;
        // The kernel gives the part before the first colon four digits, `nvidia-smi` eight.
        let place = place.trim().to_ascii_lowercase();
        let (domain, inside) = place.split_once(':')?;
        let domain = domain.trim_start_matches('0');
        let memory = memory.trim().parse().ok().filter(|mib| *mib > 0);
        Some(Found {
            place: format!("{domain:0>4}:{inside}"),
            gpu: Gpu::named(GpuVendor::Nvidia, name, memory),
        })
    };
    let mut all: Vec<Found> = text.lines().filter_map(line).collect();
    all.sort_by(|a, b| (a.place.len(), &a.place).cmp(&(b.place.len(), &b.place)));
    all
}

/// Adds the memory that was said of the same places.
fn with_memory(mut found: Vec<Found>, said: &[Found]) -> Vec<Found> {
    for it in &mut found {
        let same = said.iter().find(|said| said.place == it.place);
        it.gpu.memory = it.gpu.memory.or(same.and_then(|said| said.gpu.memory));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel's list that is made up.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("folders");
            std::fs::write(path, text).expect("written");
        }

        #[cfg(unix)]
        fn device(&self, place: &str, class: &str, driver: &str) {
            let folder = format!("sys/bus/pci/devices/{place}");
            self.write(&format!("{folder}/class"), class);
            let driver = Path::new("../../drivers").join(driver);
            let link = self.0.path().join(folder).join("driver");
            std::os::unix::fs::symlink(driver, link).expect("linked");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_a_driver_has_is_found_in_the_order_of_places() {
        let tree = Tree::new();
        tree.device("0000:81:00.0", "0x030000\n", "nvidia");
        tree.device("0000:01:00.0", "0x030200\n", "nvidia");
        tree.device("10000:01:00.0", "0x030000\n", "amdgpu");
        // A sound device, one that is passed through, one in a processor, one without a driver.
        tree.device("0000:01:00.1", "0x040300\n", "snd_hda_intel");
        tree.device("0000:41:00.0", "0x030000\n", "vfio-pci");
        tree.device("0000:00:02.0", "0x030000\n", "i915");
        tree.write("sys/bus/pci/devices/0000:c1:00.0/class", "0x030000\n");
        let of = |place: &str| format!("proc/driver/nvidia/gpus/{place}/information");
        let about = "Model: \t\t NVIDIA RTX A6000\nIRQ:   \t\t 137\n";
        tree.write(&of("0000:01:00.0"), about);
        let amd = "sys/bus/pci/devices/10000:01:00.0";
        tree.write(&format!("{amd}/device"), "0x744c\n");
        tree.write(&format!("{amd}/mem_info_vram_total"), "25753026560\n");
        let found = in_tree(tree.0.path());
        let places: Vec<&str> = found.iter().map(|it| it.place.as_str()).collect();
        assert_eq!(places, ["0000:01:00.0", "0000:81:00.0", "10000:01:00.0"]);

        let said = "00000000:81:00.0, NVIDIA T4, 15360\n00000000:01:00.0, NVIDIA RTX A6000, 49140\nno line\n";
        let all = gpus_of(with_memory(found.clone(), &said_by_smi(said)));
        assert_eq!(
            all.to_string(),
            "nvidia/NVIDIA RTX A6000:49140,nvidia/NVIDIA:15360,amd/AMD 744c:24560"
        );
        assert!(is_same(&found, &all), "it is not asked again");
        assert!(!is_same(&found[1..], &all), "one is gone");
    }

    #[test]
    fn memory_that_was_not_said_is_asked_for_again_at_growing_pauses() {
        let lacking = Gpus::read("nvidia/A,nvidia/A:8,amd/B").expect("good");
        let whole = Gpus::read("nvidia/A:8,amd/B").expect("good");
        assert!(is_whole(&whole) && !is_whole(&lacking));
        let mut asking = Asking::default();
        assert!(asking.heard(&lacking), "it is told");
        let mut due = Vec::new();
        for look in 1..=255 {
            if asking.is_due() {
                due.push(look);
                assert!(!asking.heard(&lacking), "once");
            }
        }
        assert_eq!(due, [1, 3, 7, 15, 31, 63, 127, 191, 255]);
        assert!(!asking.heard(&whole));
        assert!(asking.is_due(), "of others at once");
    }

    #[test]
    fn memory_that_was_said_once_is_kept_when_the_rest_is_asked_for() {
        let known = Gpus::read("nvidia/A:8,nvidia/A").expect("good");
        let found = |place: &str| Found {
            place: place.to_owned(),
            gpu: Gpu::named(GpuVendor::Nvidia, "A", None),
        };
        let mut again = [found("0000:01:00.0"), found("0000:02:00.0")].to_vec();
        recall_memory(&mut again, &known);
        assert_eq!(gpus_of(again.clone()), known, "though nothing answers");
        let said = said_by_smi("00000000:02:00.0, A, 6\n");
        let all = gpus_of(with_memory(again, &said));
        assert_eq!(all.to_string(), "nvidia/A:8,nvidia/A:6");
    }

    #[test]
    fn what_nvidia_smi_says_alone_is_in_the_order_of_places() {
        let said = "00000000:C1:00.0, NVIDIA A,B, 8\n00000000:0A:00.0, NVIDIA C, [N/A]\n";
        assert_eq!(
            gpus_of(said_by_smi(said)).to_string(),
            "nvidia/NVIDIA C,nvidia/NVIDIA A B:8"
        );
        assert_eq!(said_by_smi("No devices were found\n"), []);
    }

    #[test]
    fn a_host_without_any_has_none() {
        let tree = Tree::new();
        assert_eq!(in_tree(tree.0.path()), []);
        tree.write("sys/bus/pci/devices/x", "a file");
        assert_eq!(in_tree(tree.0.path()), []);
    }
}
