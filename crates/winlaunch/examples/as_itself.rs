//! The launcher, but that every account is the one that runs this: where there are no logons (Wine), all else of the way from a
//! ticket to a program can be looked at so. It is no part of the product.
//!
//! `as_itself --state DIR --pipe NAME`

#[cfg(not(windows))]
fn main() -> Result<(), String> {
    Err("there is no such launcher here".to_owned())
}

#[cfg(windows)]
fn main() -> Result<(), String> {
    itself::run()
}

#[cfg(windows)]
mod itself {
    use std::io;
    use std::path::Path;

    use tessera_keeper::Note;
    use tessera_windows::limits::Limits;
    use tessera_windows::logon::{LogonError, Password};
    use tessera_windows::program::Command;
    use tessera_windows::{Bounds, Peer, Profile, Sid, Station, Token};
    use tessera_winlaunch::judge::Who;
    use tessera_winlaunch::name::Name;
    use tessera_winlaunch::os::{Given, Os, StartError};
    use tessera_winlaunch::policy::Drive;
    use tessera_winlaunch::real::{Processes, Real};
    use tessera_winlaunch::serve::{self, Options};

    pub(super) fn run() -> Result<(), String> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let [_, state, _, pipe] = words.as_slice() else {
            return Err("as_itself --state DIR --pipe NAME".to_owned());
        };
        let options = Options {
            state: state.into(),
            pipe: pipe.clone(),
        };
        let (launcher, listener, worker) = serve::open(Itself(Real::new()), &options)?;
        serve::serve(launcher, listener, worker)
    }

    struct Itself(Real);

    /// What stands for the account: this process' own token.
    fn own() -> Result<Token, LogonError> {
        Token::own().map_err(|_| LogonError::Other(0))
    }

    impl Os for Itself {
        type Token = Token;
        type Profile = Option<Profile>;
        type Station = Station;
        type Tree = Processes;
        type Bounds = Bounds;
        type Peer = Peer;

        fn wall_ms(&self) -> u64 {
            self.0.wall_ms()
        }
        fn host(&self) -> String {
            self.0.host()
        }
        /// Somebody else, or every account would be refused as this launcher's own.
        fn own(&self) -> io::Result<Sid> {
            Ok(Sid::system())
        }
        fn look_up(&self, _name: &Name) -> Result<Sid, LogonError> {
            own()?.user().map_err(|_| LogonError::NoSuchAccount)
        }
        fn renew(&self, _account: &str, _password: &Password) -> io::Result<()> {
            Ok(())
        }
        fn disable(&self, _account: &str) -> io::Result<()> {
            Ok(())
        }
        fn chance(&self) -> io::Result<[u8; 32]> {
            self.0.chance()
        }
        fn logon_password(&self, _name: &Name, _password: &Password) -> Result<Token, LogonError> {
            own()
        }
        fn logon_managed(&self, _name: &Name) -> Result<Token, LogonError> {
            own()
        }
        fn logon_s4u(&self, _name: &Name) -> Result<Token, LogonError> {
            own()
        }
        fn take_token(&self, peer: &Peer, handle: u64) -> io::Result<Token> {
            self.0.take_token(peer, handle)
        }
        /// Under Wine everybody is an administrator.
        fn who(&self, token: &Token) -> io::Result<Who> {
            let groups = Vec::new();
            Ok(Who {
                groups,
                ..self.0.who(token)?
            })
        }
        fn strip(&self, token: Token) -> io::Result<Token> {
            self.0.strip(token)
        }
        /// Its profile is loaded: it runs.
        fn load_profile(&self, _token: &Token, _name: &Name) -> io::Result<Option<Profile>> {
            Ok(None)
        }
        fn unload_profile(&self, _token: &Token, _profile: Option<Profile>) -> io::Result<()> {
            Ok(())
        }
        fn variables(&self, token: &Token) -> io::Result<Vec<(String, String)>> {
            self.0.variables(token)
        }
        fn make_station(&self, token: &Token, name: &str) -> io::Result<Station> {
            self.0.make_station(token, name)
        }
        fn map_drive(&self, token: &Token, drive: &Drive) -> io::Result<()> {
            self.0.map_drive(token, drive)
        }
        fn unmap_drive(&self, token: &Token, drive: &Drive) -> io::Result<()> {
            self.0.unmap_drive(token, drive)
        }
        fn make_private(&self, path: &Path) -> io::Result<()> {
            self.0.make_private(path)
        }
        fn admit(&self, path: &Path, account: &Sid) -> io::Result<()> {
            self.0.admit(path, account)
        }
        fn remove_private(&self, token: &Token, path: &Path) -> io::Result<()> {
            self.0.remove_private(token, path)
        }
        fn limits(&self) -> Vec<String> {
            self.0.limits()
        }
        fn bound(&self, limits: &Limits) -> io::Result<Bounds> {
            self.0.bound(limits)
        }
        fn start(
            &self,
            token: &Token,
            station: &Station,
            bounds: Option<&Bounds>,
            command: &Command,
            note: Note<'_>,
            peer: &Peer,
        ) -> Result<(Processes, Given), StartError> {
            self.0.start(token, station, bounds, command, note, peer)
        }
        fn end_process(&self, id: u32, born: u64) -> bool {
            self.0.end_process(id, born)
        }
    }
}
