//! Which GPUs the host has. On Linux the kernel's list of devices says so: those of NVIDIA and AMD that their driver has, in the order of
//! their places; Intel's are in most processors and are left to `worker_gpus`. What the kernel doesn't know of NVIDIA's, and all of
//! Windows, is asked of `nvidia-smi`. A device that somebody else has (passed through to a guest) is none of ours.

use std::path::Path;
use std::time::Duration;

use tessera_model::gpu::{Gpu, GpuVendor, Gpus};

use crate::tool::ask;

/// How long `nvidia-smi` may take: it loads the driver where nothing keeps that loaded.
const NVIDIA_SMI_TIMEOUT: Duration = Duration::from_secs(10);

/// One that was found, with its place on the bus: `0000:01:00.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    place: String,
    gpu: Gpu,
}

/// Looks which there are; what the last look `known` said of the same ones is not asked again.
pub(crate) async fn look(known: &Gpus) -> Gpus {
    let found = if cfg!(target_os = "linux") {
        let found = in_tree(Path::new("/"));
        if is_same(&found, known) {
            return known.clone();
        }
        found
    } else if cfg!(windows) && known.all().is_empty() {
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
    match ask("nvidia-smi", &args, NVIDIA_SMI_TIMEOUT).await {
        Ok(said) if cfg!(windows) => gpus_of(said_by_smi(&said)),
        Ok(said) => gpus_of(with_memory(found, &said_by_smi(&said))),
        Err(why) => {
            tracing::debug!(%why, "nvidia-smi was asked what the GPUs are");
            gpus_of(found)
        }
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
