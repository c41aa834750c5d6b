use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

const ID: &str = "5f0c7e1e-3c1b-4a57-9d3a-0d3f5a8f1c11";

fn farm(name: &str, address: &str) -> Farm {
    Farm {
        name: name.into(),
        address: address.into(),
        ca: Fingerprint([7; 32]),
        token: Some("secret".into()),
    }
}

/// Makes surroundings in a folder: `farms.toml` with these farms, and the names of two sockets.
fn around(folder: &Path, farms: &[(&str, Farm)]) -> Surroundings {
    let path = folder.join("config/tessera/farms.toml");
    if !farms.is_empty() {
        let farms: BTreeMap<_, _> = farms
            .iter()
            .map(|(id, farm)| ((*id).to_owned(), farm.clone()))
            .collect();
        Farms {
            default: None,
            farms,
        }
        .save(&path)
        .expect("a writable folder");
    }
    let sockets = vec![folder.join("one.sock"), folder.join("two.sock")];
    Surroundings {
        farms: Some(path),
        sockets,
        ..Surroundings::default()
    }
}

fn tls(found: Result<Found, NotFound>) -> (String, Option<String>, Option<String>) {
    match found {
        Ok(Found::Tls {
            address,
            farm_id,
            token,
            ..
        }) => (address, farm_id, token),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_nearest_word_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut around = around(folder.path(), &[(ID, farm("studio", "farm:7433"))]);
    let socket = UnixListener::bind(&around.sockets[1]).expect("a socket");
    // A farm that is not the default takes nobody away from the supervisor of this host, whose rights may be others.
    assert_eq!(
        find(None, &around).ok(),
        Some(Found::Unix(around.sockets[1].clone()))
    );
    assert!(is_here(&around));
    let path = around.farms.clone().expect("a file");
    let mut farms = Farms::load(&path).expect("read");
    farms.default = Some(ID.to_owned());
    farms.save(&path).expect("written");
    let (address, id, token) = tls(find(None, &around));
    assert_eq!(
        (address.as_str(), id.as_deref(), token.as_deref()),
        ("farm:7433", Some(ID), Some("secret"))
    );
    farms.default = None;
    farms.save(&path).expect("written");
    around.supervisor = Some("unix:/a".into());
    assert_eq!(find(None, &around).ok(), Some(Found::Unix("/a".into())));
    assert_eq!(
        find(Some("unix:///b"), &around).ok(),
        Some(Found::Unix("/b".into()))
    );
    around.supervisor = None;
    let farms = around.farms.take();
    assert_eq!(
        find(None, &around).ok(),
        Some(Found::Unix(around.sockets[1].clone()))
    );
    drop(socket);
    assert!(
        find(None, &around).is_err(),
        "a socket that nobody listens on is none"
    );
    around.farms = farms;
    assert_eq!(tls(find(None, &around)).0, "farm:7433", "the only one");
}

#[test]
fn farms_are_named_by_name_id_or_address() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut around = around(
        folder.path(),
        &[
            (ID, farm("studio", "farm:7433")),
            ("x", farm("other", "[::1]:9")),
        ],
    );
    for name in ["studio", ID, "https://farm", "https://farm:7433/"] {
        assert_eq!(
            tls(find(Some(name), &around)).1.as_deref(),
            Some(ID),
            "{name}"
        );
    }
    assert_eq!(
        tls(find(Some("https://[::1]:9"), &around)).1.as_deref(),
        Some("x")
    );
    around.token = Some("nearer".into());
    assert_eq!(
        tls(find(Some("studio"), &around)).2.as_deref(),
        Some("nearer")
    );
    around.ca_sha256 = Some("ab".repeat(32));
    assert_eq!(
        tls(find(Some("https://new"), &around)),
        ("new:7433".into(), None, Some("nearer".into()))
    );
    around.token = None;
    let elsewhere = tls(find(Some("https://farm"), &around));
    assert_eq!(
        elsewhere,
        ("farm:7433".into(), None, None),
        "a token is not shown to another farm"
    );
}

#[test]
fn what_was_looked_at_is_listed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let around = around(
        folder.path(),
        &[("x", farm("a", "a:1")), ("y", farm("b", "b:1"))],
    );
    let error = find(None, &around).expect_err("nothing there");
    assert_eq!(error.exit_code(), Exit::Unreachable);
    let text = error.to_string();
    for part in [
        "--supervisor: not set",
        "TESSERA_SUPERVISOR: not set",
        "several farms",
        "one.sock: no such socket",
        "two.sock",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn words_that_name_no_farm_are_refused() {
    let around = Surroundings::default();
    for bad in [
        "http://farm",
        "https://farm",
        "https://",
        "https://a b",
        "https://u@h:1",
        "https://h:99999",
        "unix:rel",
        "nobody",
        "",
    ] {
        assert!(
            matches!(find(Some(bad), &around), Err(NotFound::Bad { .. })),
            "{bad:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_word_is_a_place_or_refused(word in "(https://|unix:)?[\\PC]*") {
        let around = Surroundings { ca_sha256: Some("00".repeat(32)), ..Surroundings::default() };
        match find(Some(&word), &around) {
            Ok(found) => { let _ = found.client(); }
            Err(error) => proptest::prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn the_file_with_tokens_is_private() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let around = around(folder.path(), &[(ID, farm("studio", "farm:7433"))]);
    let path = around.farms.expect("a path");
    let mode = |path: &Path| {
        fs::metadata(path)
            .map(|about| about.permissions().mode() & 0o777)
            .expect("it exists")
    };
    assert_eq!(
        (mode(&path), mode(path.parent().expect("a folder"))),
        (0o600, 0o700)
    );
    let farms = Farms::load(&path).expect("readable");
    assert_eq!(
        farms.named("studio"),
        Some((ID, &farm("studio", "farm:7433")))
    );
    assert!(!format!("{farms:?}").contains("secret"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    assert!(matches!(
        Farms::load(&path),
        Err(BadFarms::Readable { mode: 0o644, .. })
    ));
    fs::write(&path, "farmz = 1\n").expect("it is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let secret = "[farms.x]\naddress = 'a:1'\ntoken = 'hush\n";
    fs::write(&path, secret).expect("it is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let error = Farms::load(&path).expect_err("a bad line").to_string();
    assert!(
        error.contains("line 3") && !error.contains("hush"),
        "{error}"
    );
    fs::write(&path, "farmz = 1\n").expect("it is ours");
    let error = Farms::load(&path).expect_err("a misspelt key").to_string();
    assert!(
        error.contains("farmz") && error.contains("line 1"),
        "{error}"
    );
    assert_eq!(
        Farms::load(&folder.path().join("none")).ok(),
        Some(Farms::default())
    );
}
