//! GPUs of a host as devices: what each is, which of them an instance has, and the variables that keep programs to those.
//!
//! A host offers them as the amount [`GPUS`], so that they are reserved like any other resource; the property [`GPU_DEVICES`]
//! says what each of them is. Devices are numbered from 0 in the order of that list, which is the order of their places on
//! the PCI bus (`nvidia-smi` shows the same one).

use std::collections::BTreeSet;
use std::fmt;

/// The resource whose amount is a host's GPUs.
pub const GPUS: &str = "host.gpus";
/// The property that lists them, [`Gpus`] as text.
pub const GPU_DEVICES: &str = "host.gpu_devices";
/// The property that the supervisor adds while some of [`GPU_DEVICES`] may be others than those with the same numbers before.
pub const GPUS_UNCLEAR: &str = "host.gpus_unclear";
/// The property with the names of their models, each once, joined by commas.
pub const GPU_MODEL: &str = "host.gpu_model";
/// The property with the memory, in MiB, of the one that has least; absent when that of one isn't known.
pub const GPU_MEMORY: &str = "host.gpu_memory";
/// The property with the slots that are kept for each GPU which nobody has (`worker_gpu_slots`); absent when none are.
pub const GPU_SLOTS: &str = "host.gpu_slots";
/// The most GPUs of a host that are told apart.
pub const GPUS_MAX: usize = 64;
/// Most bytes of the name of a model.
pub const GPU_MODEL_BYTES_MAX: usize = 40;
/// The most memory of one, in MiB.
const GPU_MEMORY_MAX: u64 = 9_999_999;
/// The variable with the farm's own numbers of an instance's GPUs, whoever makes them.
const FARMS: &str = "TESSERA_GPUS";
/// The variable that has CUDA count devices by their places; else the fastest is number 0, whatever its place.
const CUDA_ORDER: &str = "CUDA_DEVICE_ORDER";

/// Who makes a GPU, which says what variable keeps programs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GpuVendor {
    /// CUDA and OptiX.
    Nvidia,
    /// ROCm and HIP.
    Amd,
    /// oneAPI.
    Intel,
}

impl GpuVendor {
    const ALL: [Self; 3] = [Self::Nvidia, Self::Amd, Self::Intel];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Amd => "amd",
            Self::Intel => "intel",
        }
    }

    /// Answers the variable that names the devices that a program sees.
    fn variable(self) -> &'static str {
        match self {
            Self::Nvidia => "CUDA_VISIBLE_DEVICES",
            // Not HIP_VISIBLE_DEVICES beside it: that counts among those that this one leaves.
            Self::Amd => "ROCR_VISIBLE_DEVICES",
            Self::Intel => "ZE_AFFINITY_MASK",
        }
    }

    /// Answers the value of its variable with which a program sees none: a number that no device has ends the list. Intel says of none.
    fn none(self) -> Option<&'static str> {
        match self {
            Self::Nvidia | Self::Amd => Some("-1"),
            Self::Intel => None,
        }
    }
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Who makes it.
    pub vendor: GpuVendor,
    /// Its model; never empty, without a comma, a colon or a slash.
    pub model: String,
    /// Its memory in MiB, if it is known.
    pub memory: Option<u64>,
}

impl Gpu {
    /// Makes one of a name that a driver gave it: what would part a list becomes a blank, what is too long is cut.
    #[must_use]
    pub fn named(vendor: GpuVendor, model: &str, memory: Option<u64>) -> Self {
        let kept = model.split(|c: char| ",:/\"'".contains(c) || c.is_control() || c == ' ');
        let words: Vec<&str> = kept.filter(|word| !word.is_empty()).collect();
        let mut model = String::new();
        for c in words.join(" ").chars() {
            if model.len() + c.len_utf8() > GPU_MODEL_BYTES_MAX {
                break;
            }
            model.push(c);
        }
        let model = if model.is_empty() {
            "GPU".to_owned()
        } else {
            model.trim().to_owned()
        };
        Self {
            vendor,
            model,
            memory: memory.map(|memory| memory.min(GPU_MEMORY_MAX)),
        }
    }

    /// Reads `VENDOR/MODEL:MiB`, or without the memory.
    fn read(text: &str) -> Option<Self> {
        let (vendor, rest) = text.trim().split_once('/')?;
        let vendor = GpuVendor::ALL.into_iter().find(|it| it.word() == vendor)?;
        let (model, memory) = match rest.split_once(':') {
            Some((model, memory)) => {
                let memory: u64 = memory.trim().parse().ok().filter(|it| *it > 0)?;
                (model, Some(memory))
            }
            None => (rest, None),
        };
        let found = Self::named(vendor, model, memory);
        (found.model == model.trim()).then_some(found)
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vendor.word(), self.model)?;
        self.memory.map_or(Ok(()), |memory| write!(f, ":{memory}"))
    }
}

/// The GPUs of a host in the order of their numbers, at most [`GPUS_MAX`]. As text: `nvidia/RTX A6000:49140,nvidia/RTX A6000:49140`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gpus(Vec<Gpu>);

impl Gpus {
    /// Takes these; those beyond the bound are left out.
    #[must_use]
    pub fn new(mut all: Vec<Gpu>) -> Self {
        all.truncate(GPUS_MAX);
        Self(all)
    }

    /// Reads the list; nothing when an entry is none, or when there are more than may be told apart.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let all: Vec<Gpu> = text
            .split(',')
            .take(GPUS_MAX + 1)
            .map(Gpu::read)
            .collect::<Option<_>>()?;
        (all.len() <= GPUS_MAX).then_some(Self(all))
    }

    /// Answers them in the order of their numbers.
    #[must_use]
    pub fn all(&self) -> &[Gpu] {
        &self.0
    }

    /// Says whether a later list of the same host has these as its first ones, so that their numbers mean the same devices. Memory that
    /// only one of the two says makes no other device.
    #[must_use]
    pub fn is_continued_by(&self, later: &Self) -> bool {
        let is_same = |(a, b): (&Gpu, &Gpu)| {
            let memory = a.memory.zip(b.memory);
            a.vendor == b.vendor && a.model == b.model && memory.is_none_or(|(a, b)| a == b)
        };
        // A host that listed none may have given some all the same, by their amount.
        let is_listed = !self.0.is_empty() || later.0.is_empty();
        is_listed && self.0.len() <= later.0.len() && self.0.iter().zip(&later.0).all(is_same)
    }

    /// Answers the names of their models, each once.
    #[must_use]
    pub fn models(&self) -> String {
        let names: BTreeSet<&str> = self.0.iter().map(|it| it.model.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(",")
    }

    /// Answers the memory, in MiB, of the one that has least: what every one of them has. Nothing when that of one isn't known.
    #[must_use]
    pub fn least_memory(&self) -> Option<u64> {
        let all: Option<Vec<u64>> = self.0.iter().map(|it| it.memory).collect();
        all?.into_iter().min()
    }

    /// Answers the variables that keep programs to the GPUs with these numbers: some of [`widest_variables`]. Each maker counts its own
    /// from 0; of a maker whose GPUs others have, none is seen. One that the list doesn't have (its host was only told how many it has)
    /// counts as NVIDIA's.
    #[must_use]
    pub fn variables(&self, given: &BTreeSet<u8>) -> Vec<(&'static str, String)> {
        if given.is_empty() {
            return Vec::new();
        }
        let joined = |numbers: Vec<String>| numbers.join(",");
        let vendor_of = |number: u8| {
            let known = self.0.get(usize::from(number));
            known.map_or(GpuVendor::Nvidia, |it| it.vendor)
        };
        let among_its_own = |number: u8| {
            let before = (0..number).filter(|it| vendor_of(*it) == vendor_of(number));
            before.count().to_string()
        };
        let numbers = given.iter().map(u8::to_string).collect();
        let mut all = vec![(FARMS, joined(numbers))];
        for vendor in GpuVendor::ALL {
            let own = given.iter().filter(|it| vendor_of(**it) == vendor);
            let own: Vec<String> = own.map(|it| among_its_own(*it)).collect();
            if own.is_empty() {
                let is_there = self.0.iter().any(|it| it.vendor == vendor);
                all.extend(
                    vendor
                        .none()
                        .filter(|_| is_there)
                        .map(|none| (vendor.variable(), none.to_owned())),
                );
                continue;
            }
            if vendor == GpuVendor::Nvidia {
                all.push((CUDA_ORDER, "PCI_BUS_ID".to_owned()));
            }
            all.push((vendor.variable(), joined(own)));
        }
        all
    }
}

impl fmt::Display for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(","))
    }
}

/// Answers all variables that keep programs to GPUs, none with a shorter value than it can have: for what must have room for them.
#[must_use]
pub fn widest_variables() -> Vec<(&'static str, String)> {
    let numbers: Vec<String> = (0..GPUS_MAX).map(|number| number.to_string()).collect();
    let names = [FARMS, CUDA_ORDER].into_iter();
    let names = names.chain(GpuVendor::ALL.map(GpuVendor::variable));
    names.map(|name| (name, numbers.join(","))).collect()
}

/// Answers the numbers of so many GPUs of a host that has `total`, the lowest that are not taken: fewer where there are not so many.
#[must_use]
pub fn free_gpus(total: u64, taken: &BTreeSet<u8>, wanted: u64) -> BTreeSet<u8> {
    let most = u8::try_from(GPUS_MAX).unwrap_or(u8::MAX);
    let total = u8::try_from(total).map_or(most, |total| total.min(most));
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let free = (0..total).filter(|number| !taken.contains(number));
    free.take(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[u8]) -> BTreeSet<u8> {
        numbers.iter().copied().collect()
    }

    #[test]
    fn a_list_is_read_as_it_is_written() {
        let text = "nvidia/RTX A6000:49140,amd/Radeon PRO W7900,intel/Arc A770:16384";
        let all = Gpus::read(text).expect("good");
        assert_eq!(all.to_string(), text);
        assert_eq!(all.models(), "Arc A770,RTX A6000,Radeon PRO W7900");
        assert_eq!(all.least_memory(), None, "that of one isn't known");
        let same = Gpus::read("nvidia/A:8, nvidia/A:6").expect("good");
        assert_eq!((same.models(), same.least_memory()), ("A".into(), Some(6)));
        assert_eq!(Gpus::read(" "), Some(Gpus::default()));
        for wrong in [
            "A6000",
            "matrox/G400:32",
            "nvidia/",
            "nvidia/A:x",
            "nvidia/A:0",
            "nvidia/A:8:9",
            "nvidia/A,,nvidia/A",
            "nvidia/a  b",
        ] {
            assert_eq!(Gpus::read(wrong), None, "{wrong}");
        }
        let many = |n| vec!["nvidia/A:8"; n].join(",");
        assert!(Gpus::read(&many(GPUS_MAX)).is_some());
        assert!(Gpus::read(&many(GPUS_MAX + 1)).is_none());
    }

    #[test]
    fn what_a_driver_calls_itself_never_parts_the_list() {
        let odd = Gpu::named(GpuVendor::Nvidia, " A,6:00/0 \"x\"\n", None);
        assert_eq!(odd.to_string(), "nvidia/A 6 00 0 x");
        assert_eq!(Gpu::read(&odd.to_string()), Some(odd));
        assert_eq!(Gpu::named(GpuVendor::Amd, "::", None).model, "GPU");
        let long = Gpu::named(GpuVendor::Amd, &"é".repeat(100), None);
        assert_eq!(long.model, "é".repeat(20));
    }

    #[test]
    fn the_lowest_free_numbers_are_given() {
        assert_eq!(free_gpus(4, &set(&[0, 2]), 2), set(&[1, 3]));
        assert_eq!(free_gpus(4, &set(&[0, 2]), 3), set(&[1, 3]), "no more");
        assert_eq!(free_gpus(0, &set(&[]), 1), set(&[]));
        assert_eq!(free_gpus(u64::MAX, &set(&[]), u64::MAX).len(), GPUS_MAX);
    }

    #[test]
    fn numbers_mean_the_same_while_a_list_grows_at_its_end_only() {
        let is_continued = |before: &str, later: &str| {
            let read = |text| Gpus::read(text).expect("good");
            read(before).is_continued_by(&read(later))
        };
        for later in [
            "nvidia/A:8,amd/B",
            "nvidia/A,amd/B:4",
            "nvidia/A:8,amd/B,intel/C",
        ] {
            assert!(is_continued("nvidia/A:8,amd/B", later), "{later}");
        }
        for later in [
            "",
            "nvidia/A:8",
            "amd/B,nvidia/A:8",
            "nvidia/A:16,amd/B",
            "nvidia/D:8,amd/B",
        ] {
            assert!(!is_continued("nvidia/A:8,amd/B", later), "{later}");
        }
    }

    #[test]
    fn each_maker_has_its_own_variable_and_counts_its_own() {
        let all = Gpus::read("nvidia/A:8,amd/B:8,nvidia/A:8,amd/B:8").expect("good");
        let variables = all.variables(&set(&[1, 2, 3]));
        let widest = widest_variables();
        for (name, value) in &variables {
            let room = widest.iter().find(|it| it.0 == *name);
            assert!(room.is_some_and(|it| it.1.len() >= value.len()), "{name}");
        }
        assert_eq!(
            variables,
            [
                ("TESSERA_GPUS", "1,2,3".to_owned()),
                ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()),
                ("CUDA_VISIBLE_DEVICES", "1".to_owned()),
                ("ROCR_VISIBLE_DEVICES", "0,1".to_owned()),
            ]
        );
        assert_eq!(all.variables(&set(&[])), []);
        // Those of the other maker are somebody else's; a maker that the host has none of is not named.
        let of_one = |given: u8| -> Vec<(&str, String)> {
            let all = all.variables(&set(&[given])).into_iter();
            all.filter(|it| it.0.ends_with("VISIBLE_DEVICES")).collect()
        };
        let of = |cuda: &str, rocr: &str| {
            [
                ("CUDA_VISIBLE_DEVICES", cuda.to_owned()),
                ("ROCR_VISIBLE_DEVICES", rocr.to_owned()),
            ]
        };
        assert_eq!(of_one(1), of("-1", "0"));
        assert_eq!(of_one(2), of("1", "-1"));
        let with_intel = Gpus::read("intel/C,amd/B").expect("good");
        let variables = with_intel.variables(&set(&[1]));
        assert_eq!(variables[1..], [("ROCR_VISIBLE_DEVICES", "0".to_owned())]);
        let unlisted = Gpus::default().variables(&set(&[3]));
        assert_eq!(unlisted[2], ("CUDA_VISIBLE_DEVICES", "3".to_owned()));
    }
}
