//! `tessera-winlaunch`: the launcher service of a Windows host. It starts jobs as their accounts, for the worker.
#![forbid(unsafe_code)]

#[cfg(not(windows))]
fn main() {
    eprintln!("tessera-winlaunch is for Windows; here it is tessera-launch");
    std::process::exit(2);
}

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    program::run(&words)
}

#[cfg(windows)]
mod program {
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::sync::mpsc::Receiver;

    use tessera_winlaunch::host::Host;
    use tessera_winlaunch::real::Real;
    use tessera_winlaunch::serve::{self, Options, PIPE, say};

    /// What the service is known by.
    const SERVICE: &str = "TesseraLaunch";
    const USAGE: &str = "\
tessera-winlaunch: starts jobs as their accounts, for the worker of a Tessera farm

usage:
  tessera-winlaunch service --state DIR [--pipe NAME]
      be the service; only the service manager can start it so
  tessera-winlaunch run --state DIR [--pipe NAME]
      be the launcher in the foreground (as LocalSystem)
  tessera-winlaunch check --state DIR
      say what this host can do and what stands against it
  tessera-winlaunch audit --state DIR
      say whether the record of what was started and refused is whole
  tessera-winlaunch --version | --help
";

    pub(crate) fn run(words: &[&str]) -> ExitCode {
        let done = match words {
            ["service", rest @ ..] => options(rest).and_then(service),
            ["run", rest @ ..] => options(rest).and_then(|it| foreground(&it)),
            ["check", rest @ ..] => options(rest).and_then(|it| check(&it)),
            ["audit", rest @ ..] => options(rest).and_then(|it| audit(&it)),
            ["--version" | "-V"] => {
                println!("tessera-winlaunch {}", env!("CARGO_PKG_VERSION"));
                Ok(())
            }
            ["--help" | "-h" | "help"] => {
                print!("{USAGE}");
                Ok(())
            }
            _ => {
                say("unknown arguments; `tessera-winlaunch --help` lists them");
                return ExitCode::from(2);
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => {
                say(&text);
                ExitCode::FAILURE
            }
        }
    }

    fn options(words: &[&str]) -> Result<Options, String> {
        let (mut state, mut pipe) = (None, PIPE.to_owned());
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let value = rest.next().ok_or(format!("`{word}` needs a value"))?;
            match *word {
                "--state" => state = Some(PathBuf::from(value)),
                "--pipe" => pipe = (*value).to_owned(),
                other => return Err(format!("unknown option `{other}`")),
            }
        }
        let state = state.ok_or("`--state DIR` is missing")?;
        Ok(Options { state, pipe })
    }

    fn audit(options: &Options) -> Result<(), String> {
        print!(
            "{}",
            tessera_keeper::verify_audit(&options.state.join("launcher"))?
        );
        Ok(())
    }

    fn service(options: Options) -> Result<(), String> {
        serve::say_in(&options.state);
        let body = move |stop: Receiver<()>| match begin(&options) {
            Ok(launcher) => {
                // Also when nobody can tell any more.
                let _ = stop.recv();
                launcher.end_all();
                0
            }
            Err(text) => {
                say(&text);
                1
            }
        };
        tessera_windows::serve(SERVICE, Box::new(body))
            .map_err(|error| format!("only the service manager starts this: {error}"))
    }

    type Launcher = std::sync::Arc<tessera_winlaunch::Launcher<Real>>;

    fn begin(options: &Options) -> Result<Launcher, String> {
        serve::prepare_privileges()?;
        let (launcher, listener, worker) = serve::open(Real::new(), options)?;
        let own = std::sync::Arc::clone(&launcher);
        let thread = std::thread::Builder::new().name("pipe".into());
        let begun = thread.spawn(move || {
            serve::serve(own, listener, worker);
        });
        begun.map_err(|error| format!("no thread: {error}"))?;
        let own = std::sync::Arc::clone(&launcher);
        let thread = std::thread::Builder::new().name("left".into());
        let begun = thread.spawn(move || own.keep_clearing());
        begun.map_err(|error| format!("no thread: {error}"))?;
        Ok(launcher)
    }

    fn foreground(options: &Options) -> Result<(), String> {
        begin(options)?;
        loop {
            std::thread::park();
        }
    }

    /// Prints what this host can do, a line for each.
    fn check(options: &Options) -> Result<(), String> {
        let config = tessera_keeper::Config::load(&options.state, |_| Ok(()))?;
        let host = Host::new(std::sync::Arc::new(Real::new()));
        let what = tessera_keeper::capabilities_of(&host, &config);
        let proxy = match what.proxy_problem.as_str() {
            "" => what.proxy_account,
            problem => format!("{} can't be used: {problem}", what.proxy_account),
        };
        let modes = what.modes.join(", ");
        println!(
            "containment: {}\nmodes: {modes}\nproxy_account: {proxy}",
            what.containment
        );
        Ok(())
    }
}
