//! Submitting.

use super::{Context, act::split, watch};
use crate::Exit;
use crate::args::{JobFields, ResubmitArgs, SubmitArgs, WaitOptions};
use crate::error::CliError;
use crate::out::time;
use std::collections::BTreeMap;
use tessera_api::types::{LearntMemory, Quantity, SubmitReply, SubmitRequest};
use tessera_api::{Client, FieldProblem};
use tessera_model::Requirement;
use tessera_model::reservation::MEMORY_UNIT;
use tessera_spec::submit::TOKENS;

/// Variables that are not exported: the host sets its own, or they speak of this session.
const NOT_EXPORTED: [&str; 14] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "TMPDIR",
    "TERM",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "TESSERA_SUPERVISOR",
    "NO_COLOR",
];
/// Beginnings of such names.
const NOT_EXPORTED_PREFIXES: [&str; 5] = ["SSH_", "SUDO_", "TESSERA_", "QB", "XDG_SESSION"];

/// Submits a job.
pub(super) async fn submit(args: SubmitArgs, context: &Context) -> Result<Exit, CliError> {
    let is_dry = args.dry_run;
    let (mut request, wrong) = request(args.job, Defaults::Mine);
    request.command = args.command;
    request.shell = args.shell;
    request.user = args.user;
    let has_key = args.key.is_some();
    request.key = args.key.or_else(|| Some(uuid::Uuid::new_v4().to_string()));
    let client = context.client()?;
    if !wrong.is_empty() {
        let checked = client.submit(&request, true).await;
        return Err(all_that_is_wrong(wrong, checked.err().map(CliError::from)));
    }
    let reply = client.submit(&request, is_dry).await;
    let reply = reply.map_err(|error| pointed(error.into(), request.requirements.as_deref()))?;
    warn(&reply, context);
    if let Some(learnt) = &reply.memory {
        context.note("memory", &remembered(learnt, request.memory.as_deref()));
    }
    if reply.existed && has_key {
        context.note("existed", &existed(&reply));
    } else {
        for doubt in doubts(&request, &reply) {
            context.note("doubt", doubt);
        }
    }
    if is_dry && !context.json {
        let frames = time::count(u64::from(reply.items), "frame");
        context.print(&format!(
            "would be submitted: {frames} in {}\n",
            time::count(u64::from(reply.instances), "instance")
        ))?;
        return Ok(Exit::Done);
    }
    submitted(&client, &reply, &args.wait, context).await
}

/// Submits an old job again.
pub(super) async fn resubmit(args: ResubmitArgs, context: &Context) -> Result<Exit, CliError> {
    check_gpus(args.id, &args.job)?;
    let (mut differences, wrong) = request(args.job, Defaults::Old);
    if !wrong.is_empty() {
        return Err(all_that_is_wrong(wrong, None));
    }
    differences.command = args.command;
    differences.key = Some(uuid::Uuid::new_v4().to_string());
    let client = context.client()?;
    let reply = client.resubmit(args.id, &differences).await?;
    warn(&reply, context);
    if let Some(learnt) = &reply.memory {
        context.note("memory", &remembered(learnt, differences.memory.as_deref()));
    }
    submitted(&client, &reply, &args.wait, context).await
}

/// Refuses GPUs alone: a reservation is replaced as a whole, and nobody means that the slots and the memory of the old job go with it.
fn check_gpus(old: u64, job: &JobFields) -> Result<(), CliError> {
    let Some(gpus) = job.gpus.filter(|_| job.reservations.is_none()) else {
        return Ok(());
    };
    let text = format!("--gpus {gpus} would take the place of all that job {old} reserves");
    let hint = format!(
        "say all of it: --reservations host.processors=1,host.gpus={gpus}; tessera job {old} shows what it reserves now"
    );
    Err(CliError::usage(text).hint(hint))
}

/// Shows where a faulty requirement is wrong.
fn pointed(mut error: CliError, requirements: Option<&str>) -> CliError {
    let is_of_it = error.fields.iter().any(|it| it.field == "requirements");
    let text = requirements.filter(|_| is_of_it).unwrap_or_default();
    if let Some(bad) = Requirement::written(text).err().filter(|_| is_of_it) {
        error
            .details
            .extend(bad.pointed(text).lines().map(str::to_owned));
    }
    error
}

/// Says what will keep the job from running, or what else the supervisor doubts.
fn warn(reply: &SubmitReply, context: &Context) {
    for warning in &reply.warnings {
        context.note("warning", warning);
    }
}

/// Says that there is a job with the key already.
fn existed(reply: &SubmitReply) -> String {
    match reply.job {
        Some(job) => {
            format!("job {job} was submitted before with this key; nothing was submitted now")
        }
        None => "a job was submitted before with this key; nothing would be submitted".to_owned(),
    }
}

/// Answers what looks as if it was not meant so.
fn doubts(request: &SubmitRequest, reply: &SubmitReply) -> Vec<&'static str> {
    let mut doubts = Vec::new();
    if let ([line], None) = (request.command.as_slice(), &request.shell)
        && is_shell_line(line)
    {
        doubts.push(
            "the command is one word with spaces in it, and no shell takes it apart: write its words apart, or --shell",
        );
    }
    let has_token = request
        .command
        .iter()
        .any(|word| TOKENS.into_iter().any(|token| word.contains(token)));
    if request.range.is_some() && !has_token && reply.items > 1 {
        doubts.push(
            "the command names no frame, so each runs the same unless it reads the variable: QB_FRAME_NUMBER in it stands for the frame",
        );
    }
    if request.cpus.is_none() && reply.instances == 1 && reply.items > 1 {
        doubts.push("one frame runs at a time; --cpus N runs so many at once");
    }
    doubts
}

/// Says whether a word is a line for a shell: no program's path has a space and an operator, or a space behind its name.
fn is_shell_line(word: &str) -> bool {
    let is_path = word.starts_with(['/', '.', '\\']) || word.get(1..2) == Some(":");
    let has_space = word.trim().contains(char::is_whitespace);
    let has_sign = word.contains([';', '|', '&', '>', '<', '`', '$']);
    has_space && (has_sign || !is_path)
}

/// Says what was submitted, and stays if that was asked for.
async fn submitted(
    client: &Client,
    reply: &SubmitReply,
    wait: &WaitOptions,
    context: &Context,
) -> Result<Exit, CliError> {
    let Some(job) = reply.job else {
        context.print_json(reply)?;
        return Ok(Exit::Done);
    };
    if context.json && !wait.wait {
        context.print_json(reply)?;
    } else if !context.json {
        context.print(&announcement(reply, job, context.look.is_terminal()))?;
    }
    if !wait.wait {
        return Ok(Exit::Done);
    }
    let deadline = watch::deadline(wait.timeout.as_deref())?;
    let ended = watch::follow(client, job, deadline, context).await?;
    if context.json {
        context.print_json(ended.job())?;
    }
    Ok(ended.exit())
}

/// Says what earlier jobs with the command took.
fn remembered(learnt: &LearntMemory, asked: Option<&str>) -> String {
    let what = match asked {
        Some("learnt") => "reserved",
        Some(_) | None => "--memory learnt would reserve",
    };
    format!(
        "{} of {} took at most {} in a process; {what} {}",
        time::count(learnt.frames, "frame"),
        time::count(u64::from(learnt.jobs), "earlier job"),
        time::size(learnt.peak_bytes),
        time::size(learnt.reserves_mib.saturating_mul(MEMORY_UNIT)),
    )
}

/// Answers a sentence for people, the bare number for programs.
fn announcement(reply: &SubmitReply, job: u64, is_terminal: bool) -> String {
    if !is_terminal {
        return format!("{job}\n");
    }
    let frames = time::count(u64::from(reply.items), "frame");
    if reply.existed {
        format!("job {job} was submitted before with this key ({frames})\n")
    } else {
        format!("submitted job {job} ({frames})\n")
    }
}

/// Where what was not said comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defaults {
    /// From where the person is.
    Mine,
    /// From the old job.
    Old,
}

/// Joins what was seen to be wrong here with what the supervisor found, so that one try tells everything.
fn all_that_is_wrong(mut wrong: Vec<CliError>, found: Option<CliError>) -> CliError {
    let found = found.filter(|error| error.exit == Exit::Usage && !error.fields.is_empty());
    if wrong.len() == 1 && found.is_none() {
        return wrong.remove(0);
    }
    let mut fields: Vec<FieldProblem> = wrong.into_iter().map(as_field).collect();
    fields.extend(found.into_iter().flat_map(|error| error.fields));
    let mut all = CliError::usage(format!("{} options are wrong", fields.len()));
    all.fields = fields;
    all
}

/// Answers what is wrong with an option as the supervisor says it of a field.
fn as_field(error: CliError) -> FieldProblem {
    let message = error.message.trim_start_matches("--");
    let (field, message) = message.split_once(": ").unwrap_or(("", message));
    FieldProblem {
        field: field.to_owned(),
        message: message.to_owned(),
        hint: error.hints.into_iter().next(),
    }
}

/// Makes the request, with what can't be sent left out and told instead.
fn request(job: JobFields, defaults: Defaults) -> (SubmitRequest, Vec<CliError>) {
    let mut wrong = Vec::new();
    let is_mine = defaults == Defaults::Mine;
    let order = match (job.reverse, job.binary) {
        (true, _) => Some("reverse".to_owned()),
        (_, true) => Some("binary".to_owned()),
        _ => None,
    };
    let env = environment(&job, std::env::vars_os());
    let env = env.unwrap_or_else(|error| {
        wrong.push(error);
        None
    });
    let waitfor = waitfor(&job.waitfor).unwrap_or_else(|error| {
        wrong.push(error);
        None
    });
    let cwd = job.cwd.map(absolute).transpose().unwrap_or_else(|error| {
        wrong.push(error);
        None
    });
    let request = SubmitRequest {
        name: job.name,
        range: job.range,
        chunk: job.chunk,
        partitions: job.partitions,
        padding: job.padding,
        order,
        priority: job.priority,
        cpus: job.cpus,
        max_cpus: job.max_cpus,
        reservations: reservations(job.reservations, job.gpus),
        memory: job.memory,
        hosts: list(&job.hosts),
        omithosts: list(&job.omithosts),
        cluster: job.cluster,
        restrictions: job.restrictions,
        requirements: job.requirements,
        host_order: job.host_order,
        groups: list(&job.groups),
        omitgroups: list(&job.omitgroups),
        env,
        cwd: cwd.or(if is_mine { current_dir() } else { None }),
        umask: job
            .umask
            .or_else(|| if is_mine { own_umask() } else { None }),
        flags: flags(&job.flags, job.convert_path),
        retrywork: job.retrywork,
        retryworkdelay: job.retryworkdelay.map(Quantity),
        retrysubjob: job.retrysubjob,
        retry_oom: job.retry_oom,
        pgrp_limit: job.pgrp_limit,
        per_host: job.per_host,
        start_rate: job.start_rate,
        timelimit: job.timelimit.map(Quantity),
        agendatimelimit: job.agendatimelimit.map(Quantity),
        silence_limit: job.silence_limit.map(Quantity),
        grace: job.grace.map(Quantity),
        output_limit: job.output_limit.map(Quantity),
        progress: job.progress,
        waitfor,
        after: job.after,
        label: job.label,
        pgrp: job.pgrp,
        mail: list(&job.mail),
        mail_to: job.mail_to,
        webhooks: Some(job.webhook).filter(|all| !all.is_empty()),
        max_failures: job.max_failures,
        notes: job.notes,
        status: job.status,
        ..SubmitRequest::default()
    };
    (request, wrong)
}

fn list(said: &[String]) -> Option<Vec<String>> {
    (!said.is_empty()).then(|| said.iter().flat_map(|list| split(list)).collect())
}

fn flags(said: &[String], convert_path: bool) -> Option<Vec<String>> {
    let mut flags = list(said);
    if convert_path {
        flags
            .get_or_insert_default()
            .push("convert_path".to_owned());
    }
    flags
}

fn waitfor(said: &[String]) -> Result<Option<Vec<u64>>, CliError> {
    let Some(ids) = list(said) else {
        return Ok(None);
    };
    let number = |id: &String| {
        id.parse().map_err(|_| {
            CliError::usage(format!("--waitfor: \"{id}\" is no number of a job"))
                .hint("for instance: --waitfor 12 or --waitfor 12,13")
        })
    };
    ids.iter().map(number).collect::<Result<_, _>>().map(Some)
}

/// Adds GPUs to what is reserved; naming them twice is the supervisor's to refuse.
fn reservations(named: Option<String>, gpus: Option<u32>) -> Option<String> {
    let Some(gpus) = gpus else {
        return named;
    };
    let named = named.filter(|named| !named.trim().is_empty());
    let of_gpus = format!("host.gpus={gpus}");
    Some(named.map_or_else(|| of_gpus.clone(), |named| format!("{named},{of_gpus}")))
}

/// Answers the variables for the job: what is exported, then what was named, which wins.
fn environment(
    job: &JobFields,
    own: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Result<Option<BTreeMap<String, String>>, CliError> {
    let own =
        own.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let own: BTreeMap<String, String> = own.collect();
    let mut env = BTreeMap::new();
    if job.export_env {
        let exported = own.iter().filter(|(name, _)| is_exported(name));
        env.extend(exported.map(|(name, value)| (name.clone(), value.clone())));
    }
    for said in &job.env {
        let (name, value) = match said.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => match own.get(said) {
                Some(value) => (said.as_str(), value.clone()),
                None => {
                    return Err(CliError::usage(format!(
                        "--env: there is no variable {said} to give to the job"
                    ))
                    .hint("write --env NAME=VALUE, or --env NAME for one that is set here"));
                }
            },
        };
        env.insert(name.to_owned(), value);
    }
    Ok((!env.is_empty()).then_some(env))
}

fn is_exported(name: &str) -> bool {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_left_out = NOT_EXPORTED.contains(&name)
        || NOT_EXPORTED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix));
    is_name && !is_left_out
}

fn current_dir() -> Option<String> {
    std::env::current_dir()
        .ok()?
        .into_os_string()
        .into_string()
        .ok()
}

/// Answers the whole path; relative ones begin where the person is. One that is whole on another system is left as it is: the
/// hosts may be of that kind.
fn absolute(path: String) -> Result<String, CliError> {
    if tessera_model::path::is_absolute(&path) {
        return Ok(path);
    }
    let whole = std::path::absolute(&path);
    let whole = whole.map_err(|error| CliError::usage(format!("--cwd {path}: {error}")))?;
    whole
        .into_os_string()
        .into_string()
        .map_err(|_| CliError::usage("--cwd: the path is no UTF-8"))
}

/// Answers this process's file mode mask, in octal, where the system tells it without changing it.
fn own_umask() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))?;
    Some(mask.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)> {
        let pairs = [
            ("HOME", "/h"),
            ("SHOT", "010"),
            ("SSH_AUTH_SOCK", "/s"),
            ("BASH_FUNC_x%%", "()"),
            ("PATH", "/bin"),
        ];
        pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
    }

    fn pairs(job: &JobFields) -> Vec<(String, String)> {
        environment(job, own())
            .expect("good")
            .unwrap_or_default()
            .into_iter()
            .collect()
    }

    #[test]
    fn one_try_tells_everything_that_is_wrong() {
        let job = JobFields {
            waitfor: vec!["a".into()],
            env: vec!["NO_SUCH_VARIABLE_HERE".into()],
            ..JobFields::default()
        };
        let (_, wrong) = request(job, Defaults::Mine);
        assert_eq!(wrong.len(), 2);
        let mut found = CliError::usage("1 field is wrong");
        found.fields.push(FieldProblem {
            field: "timelimit".into(),
            message: "\"5x\" is no time".into(),
            hint: None,
        });
        let all = all_that_is_wrong(wrong, Some(found));
        assert_eq!((all.exit, all.fields.len()), (Exit::Usage, 3), "{all:?}");
        assert!(
            all.fields[0].message.starts_with("there is no variable"),
            "{all:?}"
        );
        assert_eq!(all.fields[0].field, "env");
    }

    #[test]
    fn gpus_alone_take_no_other_reservation_away() {
        let fields = |gpus, named: Option<&str>| JobFields {
            gpus,
            reservations: named.map(str::to_owned),
            ..JobFields::default()
        };
        let refused = check_gpus(12, &fields(Some(2), None)).expect_err("refused");
        let hint = refused.hints.join("; ");
        assert!(hint.contains("host.processors=1,host.gpus=2"), "{hint}");
        for good in [
            fields(Some(2), Some("host.memory=8G")),
            fields(None, Some("host.gpus=2")),
            fields(None, None),
        ] {
            assert!(check_gpus(12, &good).is_ok(), "{good:?}");
        }
        let both = reservations(Some("host.memory=8G".into()), Some(2));
        assert_eq!(both.as_deref(), Some("host.memory=8G,host.gpus=2"));
    }

    #[test]
    fn the_environment_is_what_was_asked_for() {
        assert_eq!(pairs(&JobFields::default()), []);
        let exported = JobFields {
            export_env: true,
            env: vec!["SHOT=020".into()],
            ..JobFields::default()
        };
        assert_eq!(
            pairs(&exported),
            [
                ("PATH".into(), "/bin".into()),
                ("SHOT".into(), "020".into())
            ]
        );
        let named = JobFields {
            env: vec!["SHOT".into(), "X=a=b".into()],
            ..JobFields::default()
        };
        assert_eq!(
            pairs(&named),
            [("SHOT".into(), "010".into()), ("X".into(), "a=b".into())]
        );
        let missing = JobFields {
            env: vec!["NONE".into()],
            ..JobFields::default()
        };
        assert!(environment(&missing, own()).is_err());
    }

    #[test]
    fn the_number_alone_is_for_programs() {
        let reply = SubmitReply {
            job: Some(12),
            existed: false,
            items: 100,
            instances: 1,
            warnings: Vec::new(),
            memory: None,
        };
        assert_eq!(announcement(&reply, 12, false), "12\n");
        assert_eq!(
            announcement(&reply, 12, true),
            "submitted job 12 (100 frames)\n"
        );
    }

    #[test]
    fn what_looks_unmeant_is_said() {
        let request = |words: &[&str], range: Option<&str>| SubmitRequest {
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            range: range.map(str::to_owned),
            ..SubmitRequest::default()
        };
        let reply = |items| SubmitReply {
            job: Some(1),
            existed: false,
            items,
            instances: 1,
            warnings: Vec::new(),
            memory: None,
        };
        let said = |request: &SubmitRequest, items| -> Vec<String> {
            let doubts = doubts(request, &reply(items));
            let first = |doubt: &str| {
                doubt
                    .split([',', ';'])
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            };
            doubts.into_iter().map(first).collect()
        };
        for line in ["echo hi; ls", "sleep 60", "/bin/echo a > b"] {
            assert_eq!(
                said(&request(&[line], None), 1),
                ["the command is one word with spaces in it"],
                "{line}"
            );
        }
        for program in ["true", "/opt/My App/run", "C:\\Program Files\\x.exe", ""] {
            assert!(said(&request(&[program], None), 1).is_empty(), "{program}");
        }
        let shell = SubmitRequest {
            shell: Some("/bin/sh".into()),
            ..request(&["echo hi; ls"], None)
        };
        assert!(said(&shell, 1).is_empty());
        let (none, one) = ("the command names no frame", "one frame runs at a time");
        let typo = request(&["render", "QB_FRAME_NUMER"], Some("1-9"));
        assert_eq!(said(&typo, 9), [none, one]);
        let good = request(&["render", "-f", "QB_FRAME_NUMBER"], Some("1-9"));
        assert_eq!(said(&good, 9), [one]);
        assert!(said(&good, 1).is_empty());
        let wide = SubmitRequest {
            cpus: Some(4),
            ..good
        };
        assert!(said(&wide, 9).is_empty());
    }

    #[test]
    fn lists_are_taken_apart() {
        assert_eq!(
            list(&["a, b".into(), "c".into()]),
            Some(vec!["a".into(), "b".into(), "c".into()])
        );
        assert_eq!(
            waitfor(&["12,13".into()]).expect("good"),
            Some(vec![12, 13])
        );
        assert!(waitfor(&["x".into()]).is_err());
    }
}
