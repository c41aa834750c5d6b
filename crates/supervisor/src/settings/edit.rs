//! `workers.toml` over the API: as it stands, what another text would change for which host, and that text in its place.
//!
//! Only a file that is the supervisor's own is replaced ([`Spot`]), only by a text without mistakes, and only when nobody
//! changed it since it was read. What makes other programs of somebody's command is left to who may write the file itself.

use super::file::{Draft, NotWritten, Spot};
use super::{WorkerSettings, differences};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tessera_hostconfig::{Finding, Platform, Workers};
use tessera_model::ServedSettings;
use tokio::sync::MutexGuard;

/// Keys that are not changed over the API: where a desktop finds a program decides what its person runs.
const FILE_ONLY: [&str; 1] = ["worker_path_map"];

/// The file as it stands.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What stands in it, or why it can't be read.
    pub(crate) draft: Result<Draft, String>,
    /// What is wrong with it.
    pub(crate) findings: Vec<Finding>,
    /// Whether hosts are told what stands in it now.
    pub(crate) is_in_use: bool,
    /// Why it can't be replaced from here, when it can't.
    pub(crate) closed: Option<String>,
}

/// What another text would come to.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    /// What is wrong with it.
    pub(crate) findings: Vec<Finding>,
    /// Connected hosts for which it sets something otherwise, by name.
    pub(crate) hosts: BTreeMap<String, Vec<Change>>,
}

/// A key that is set otherwise for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The key.
    pub(crate) key: String,
    /// What it is told now.
    pub(crate) before: Option<String>,
    /// What it would be told, and where that stands.
    pub(crate) after: Option<(String, String)>,
}

/// Why a text is not put in the file's place.
#[derive(Debug)]
pub(crate) enum NotSet {
    /// The file is not the supervisor's own.
    Closed(String),
    /// Somebody changed the file since it was read.
    Moved,
    /// The text has mistakes.
    Faulty(Vec<Finding>),
    /// It sets a key otherwise that is not changed from here.
    FileOnly(&'static str),
    /// The file can't be read.
    Unreadable(String),
    /// The file can't be written.
    Unwritten(String),
}

/// A text about to be put in the file's place; nobody else does so meanwhile.
#[derive(Debug)]
pub(crate) struct Edit<'a> {
    spot: Spot,
    text: String,
    version: String,
    _one_at_a_time: MutexGuard<'a, ()>,
}

/// A connected host: its name, its system, what it is told.
type Told = (String, Option<Platform>, Option<Arc<ServedSettings>>);

impl WorkerSettings {
    /// Reads the file as it stands.
    pub(crate) async fn shown(&self) -> Shown {
        let (place, in_use) = (self.place.clone(), self.lock().workers.clone());
        let path = place.path.clone();
        let read = blocking(move || {
            let draft = place.draft();
            let text = draft.as_ref().map_or("", |draft| draft.text.as_str());
            let (workers, findings) = Workers::read(text);
            let is_good = draft.is_ok() && !findings.iter().any(|it| it.is_error);
            Shown {
                is_in_use: is_good && in_use.is_some_and(|it| *it == workers),
                closed: place.spot().err(),
                path: place.path,
                draft,
                findings,
            }
        });
        read.await.unwrap_or_else(|why| Shown {
            path,
            draft: Err(why.clone()),
            findings: Vec::new(),
            is_in_use: false,
            closed: Some(why),
        })
    }

    /// Answers what a text would change for the hosts that are connected; nothing is kept of it.
    pub(crate) async fn preview(&self, text: String) -> Preview {
        let connected: Vec<Told> = {
            let state = self.lock();
            let entries = state.connected.values();
            let told = entries.map(|it| (it.name.clone(), it.platform, it.due.clone()));
            told.collect()
        };
        let read = blocking(move || {
            let (workers, findings) = Workers::read(&text);
            let is_good = !findings.iter().any(|it| it.is_error);
            let hosts = connected.into_iter().filter(|_| is_good);
            let hosts = hosts.filter_map(|told| changes(&workers, told)).collect();
            Preview { findings, hosts }
        });
        read.await.unwrap_or_default()
    }

    /// Begins to put a text in the file's place, of which the version that was read is named.
    ///
    /// # Errors
    /// Why it can't be; nothing was changed.
    pub(crate) async fn edit(&self, text: String, version: &str) -> Result<Edit<'_>, NotSet> {
        let one_at_a_time = self.editing.lock().await;
        let (place, version) = (self.place.clone(), version.to_owned());
        let judged = blocking(move || {
            let spot = place.spot().map_err(NotSet::Closed)?;
            let before = place.draft().map_err(NotSet::Unreadable)?;
            if before.version != version {
                return Err(NotSet::Moved);
            }
            check(&before.text, &text)?;
            Ok((spot, text, version))
        });
        let (spot, text, version) = judged
            .await
            .unwrap_or_else(|why| Err(NotSet::Unreadable(why)))?;
        Ok(Edit {
            spot,
            text,
            version,
            _one_at_a_time: one_at_a_time,
        })
    }
}

impl Edit<'_> {
    /// Writes the file. Until it is read anew hosts are told what they were told before.
    ///
    /// # Errors
    /// Somebody changed it by hand meanwhile, or why it can't be written; the one that is there stays.
    pub(crate) async fn write(self) -> Result<(), NotSet> {
        let (spot, text, version) = (self.spot, self.text, self.version);
        let wrote = blocking(move || spot.write(&text, &version)).await;
        wrote.map_err(NotSet::Unwritten)?.map_err(|why| match why {
            NotWritten::Moved => NotSet::Moved,
            NotWritten::Failed(why) => NotSet::Unwritten(why),
        })
    }
}

/// Reads or writes on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())
}

/// Checks a text that is to take the place of another.
fn check(before: &str, text: &str) -> Result<(), NotSet> {
    let (after, findings) = Workers::read(text);
    if findings.iter().any(|it| it.is_error) {
        return Err(NotSet::Faulty(findings));
    }
    // What a faulty file sets is not known: then the new one must not set it at all.
    let (before, _) = Workers::read(before);
    let is_other = |key: &&str| before.everywhere(key) != after.everywhere(key);
    match FILE_ONLY.into_iter().find(is_other) {
        Some(key) => Err(NotSet::FileOnly(key)),
        None => Ok(()),
    }
}

/// Answers what a file sets otherwise for a host; nothing when it is told the same.
fn changes(workers: &Workers, told: Told) -> Option<(String, Vec<Change>)> {
    let (name, platform, due) = told;
    let after = workers.of_host(&name, platform).values;
    let plain: BTreeMap<String, String> = after
        .iter()
        .map(|(key, it)| (key.clone(), it.value.clone()))
        .collect();
    let before = due.as_ref().map(|it| &it.values);
    let keys: BTreeSet<String> = differences(before, &plain);
    let change = |key: String| Change {
        before: before.and_then(|it| it.get(&key).cloned()),
        after: after
            .get(&key)
            .map(|it| (it.value.clone(), it.from.to_string())),
        key,
    };
    let all: Vec<Change> = keys.into_iter().map(change).collect();
    (!all.is_empty()).then_some((name, all))
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;
    use std::path::Path;

    fn settings(dir: &Path, text: &str) -> WorkerSettings {
        let own = dir.join("own");
        std::fs::create_dir_all(&own).expect("makes");
        let path = dir.join("workers.toml");
        std::fs::write(&path, text).expect("writes");
        WorkerSettings::open(Place {
            path,
            is_named: false,
            own,
        })
    }

    const OLD: &str = "[default]\nworker_cpus = 2\n";

    #[tokio::test]
    async fn a_text_takes_the_place_of_the_version_that_was_read_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let all = settings(dir.path(), OLD);
        let shown = all.shown().await;
        assert!(shown.is_in_use && shown.closed.is_none(), "{shown:?}");
        let version = shown.draft.expect("read").version;
        let edit = all.edit("[default]\nworker_cpus = 4\n".into(), &version);
        edit.await
            .expect("as it was read")
            .write()
            .await
            .expect("writes");
        let after = all.shown().await;
        assert!(!after.is_in_use, "it is not read anew yet");
        let late = all.edit("# mine\n".into(), &version).await;
        assert!(matches!(late, Err(NotSet::Moved)), "{late:?}");
        let now = after.draft.expect("read").version;
        let faulty = all.edit("worker_cpu = 1\n".into(), &now).await;
        assert!(matches!(faulty, Err(NotSet::Faulty(_))), "{faulty:?}");
        let text = std::fs::read_to_string(dir.path().join("workers.toml")).expect("there");
        assert_eq!(text, "[default]\nworker_cpus = 4\n");
    }

    #[tokio::test]
    async fn what_an_editor_wrote_after_the_last_check_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let all = settings(dir.path(), OLD);
        let version = all.shown().await.draft.expect("read").version;
        let edit = all.edit("[default]\nworker_cpus = 4\n".into(), &version);
        let edit = edit.await.expect("as it was read");
        let path = dir.path().join("workers.toml");
        std::fs::write(&path, "# by hand\n").expect("writes");
        let late = edit.write().await;
        assert!(matches!(late, Err(NotSet::Moved)), "{late:?}");
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text, "# by hand\n");
        let names = std::fs::read_dir(dir.path()).expect("reads");
        assert_eq!(names.count(), 2, "nothing is left beside it");
    }

    #[test]
    fn where_a_desktop_finds_its_programs_is_not_changed_from_here() {
        let map =
            "[template.t]\nworker_path_map = [['/a', '/b']]\n[host.ws1]\ninherits = [\"t\"]\n";
        let is_kept = |before: &str, after: &str| match check(before, after) {
            Ok(()) => true,
            Err(NotSet::FileOnly("worker_path_map")) => false,
            Err(other) => panic!("{other:?}"),
        };
        assert!(is_kept(map, &format!("{map}worker_cpus = 2\n")));
        assert!(!is_kept(map, ""), "taken away");
        assert!(!is_kept("", map), "added");
        assert!(!is_kept(map, &map.replace("/b", "/c")), "changed");
        let wider = map.replace("[host.ws1]", "[host.\"ws[1-9]\"]");
        assert!(!is_kept(map, &wider), "for other hosts");
    }
}
