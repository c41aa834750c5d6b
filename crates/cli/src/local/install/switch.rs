//! Installing, changing between the modes, and removing: whole or not at all.

use super::half::Half;
use super::system::System;
use super::work::Work;
use crate::Exit;
use crate::error::CliError;

/// Looks, a second apart, at work that was ended, until its end must have been acknowledged.
const END_LOOKS_MAX: u32 = 60;

/// What becomes of work that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Running {
    /// There must be none.
    Refuse,
    /// It is waited for.
    Wait,
    /// It is ended; the farm runs it again.
    End,
}

/// Installs one half and starts it, if this host has joined a farm; says whether it runs.
///
/// What ran before keeps running if the new one does not come up; a first installation stays as it is then, to be mended.
pub(super) fn install(
    half: &dyn Half,
    system: &mut dyn System,
    is_dry: bool,
) -> Result<bool, CliError> {
    half.check(system)?;
    let was_running = half.is_running(system)?;
    let is_joined = half.is_joined(system)?;
    let mut work = Work::new(system, is_dry);
    work.whole(|work| {
        half.prepare(work)?;
        half.start(work)?;
        if was_running && is_joined && !is_dry {
            half.diagnose(work.system)?;
        }
        Ok(())
    })?;
    if is_dry || !is_joined {
        if !is_joined {
            let said = format!(
                "this host has joined no farm as {}; when it has ({}), run this again to start the worker",
                half.word(),
                half.join_command()
            );
            system.say(&said);
        }
        return Ok(false);
    }
    if !half.is_running(system)? {
        return Ok(false);
    }
    if !was_running {
        half.diagnose(system)?;
    }
    Ok(true)
}

/// Changes from one half to the other.
pub(super) fn set_mode(
    from: &dyn Half,
    to: &dyn Half,
    running: Running,
    system: &mut dyn System,
    is_dry: bool,
) -> Result<(), CliError> {
    if to.is_running(system)? && !from.is_running(system)? {
        system.say(&format!("the worker is in mode {} already", to.word()));
        return Ok(());
    }
    if let Some(error) = system.no_manager() {
        return Err(error);
    }
    to.check(system)?;
    if !to.is_joined(system)? {
        let said = format!("this host has joined no farm as {}", to.word());
        return Err(CliError::new(Exit::State, said).hint(to.join_command()));
    }
    let is_locked = let_work_end(from, running, system, is_dry)?;
    let done = Work::new(system, is_dry).whole(|work| {
        to.prepare(work)?;
        from.stop(work)?;
        refuse_late_work(from, work)?;
        to.start(work)?;
        if is_dry {
            return Ok(());
        }
        to.diagnose(work.system)
    });
    unlock(is_locked, system);
    done?;
    if !is_dry {
        system.say(&format!("the worker is in mode {}", to.word()));
    }
    Ok(())
}

/// Removes one half.
pub(super) fn uninstall(
    half: &dyn Half,
    running: Running,
    system: &mut dyn System,
    is_dry: bool,
) -> Result<(), CliError> {
    if !half.is_installed(system)? {
        system.say(&format!("no worker is installed as {}", half.word()));
        return Ok(());
    }
    let is_locked = let_work_end(half, running, system, is_dry)?;
    let done = Work::new(system, is_dry).whole(|work| {
        half.stop(work)?;
        refuse_late_work(half, work)?;
        half.remove(work)
    });
    unlock(is_locked, system);
    done
}

/// Work may have come between the last look and the stop: it would go on with nobody to report it.
fn refuse_late_work(half: &dyn Half, work: &mut Work) -> Result<(), CliError> {
    if work.is_dry {
        return Ok(());
    }
    match half.launches(work.system)? {
        0 => Ok(()),
        n => Err(
            CliError::new(Exit::State, format!("{} came in meanwhile", launches(n)))
                .hint("lock the host first: tessera lock HOST"),
        ),
    }
}

/// Sees that nothing runs; says whether the host was locked for it.
fn let_work_end(
    half: &dyn Half,
    running: Running,
    system: &mut dyn System,
    is_dry: bool,
) -> Result<bool, CliError> {
    let count = half.launches(system)?;
    let is_running = half.is_running(system)?;
    if running == Running::Refuse || !is_running {
        return match count {
            0 => Ok(false),
            n if !is_running => Err(CliError::new(
                Exit::State,
                format!(
                    "the worker in mode {} does not run, and {} would never be reported",
                    half.word(),
                    launches(n)
                ),
            )
            .hint("start it again first, so that it can report")),
            n => Err(
                CliError::new(Exit::State, format!("the worker has {}", launches(n)))
                    .hint("--wait waits for the end, --now ends what runs"),
            ),
        };
    }
    if is_dry {
        let what = match running {
            Running::End => "end what runs",
            Running::Wait | Running::Refuse => "lock the host and wait for what runs",
        };
        system.say(&format!("would: {what} ({})", launches(count)));
        return Ok(false);
    }
    let is_locked = lock(half, system);
    let done = if running == Running::End {
        end(half, is_locked, system)
    } else {
        wait(half, system)
    };
    match done {
        Ok(()) => Ok(is_locked),
        Err(error) => {
            unlock(is_locked, system);
            Err(error)
        }
    }
}

fn lock(half: &dyn Half, system: &mut dyn System) -> bool {
    match system.lock_host(half.word() == "desktop") {
        Ok(()) => {
            system.say(
                "this host is locked at the farm until this is done; if you interrupt it: tessera unlock HOST",
            );
            true
        }
        Err(why) => {
            system.say(&format!(
                "note: this host can't be locked at the farm from here ({why}); if new work keeps coming, an \
                 administrator locks it: tessera lock HOST"
            ));
            false
        }
    }
}

fn unlock(is_locked: bool, system: &mut dyn System) {
    if !is_locked {
        return;
    }
    match system.unlock_host() {
        Ok(()) => system.say("this host is no longer locked for this"),
        Err(why) => system.say(&format!(
            "note: this host is still locked at the farm ({why}): tessera unlock HOST"
        )),
    }
}

fn wait(half: &dyn Half, system: &mut dyn System) -> Result<(), CliError> {
    let mut last = 0;
    loop {
        let count = half.launches(system)?;
        if count == 0 {
            return Ok(());
        }
        if count != last {
            system.say(&format!("waiting for {}", launches(count)));
            last = count;
        }
        system.pause();
    }
}

fn end(half: &dyn Half, is_locked: bool, system: &mut dyn System) -> Result<(), CliError> {
    let mut count = half.launches(system)?;
    if count > 0 {
        system.say(&format!("end {}", launches(count)));
        half.end_launches(system)?;
    }
    for _ in 0..END_LOOKS_MAX {
        if count == 0 {
            return Ok(());
        }
        system.pause();
        // What was on its way when the host was locked. Without a lock the farm would send the same again and again.
        if is_locked {
            half.end_launches(system)?;
        }
        count = half.launches(system)?;
    }
    let said = format!(
        "{} still there: new, or ended and not acknowledged by the supervisor",
        match count {
            1 => "1 instance of a job is".to_owned(),
            n => format!("{n} instances of jobs are"),
        }
    );
    Err(CliError::new(Exit::State, said).hint(
        "lock the host first (tessera lock HOST), see that the supervisor is there (tessera doctor), and run this again",
    ))
}

fn launches(count: usize) -> String {
    match count {
        1 => "1 instance of a job".to_owned(),
        n => format!("{n} instances of jobs"),
    }
}
