//! The endpoints, declared for the OpenAPI document; `supervisor` serves them and [`crate::Client`] calls them.

use crate::error::ApiError;
use crate::query::{
    AuditQuery, ErrorsQuery, EventsQuery, HistoryQuery, ItemsQuery, JobsQuery, LogQuery,
    RemoveHostQuery, SubmitQuery, TimelineQuery, TrendsQuery,
};
use crate::types::{
    ActionReply, ActionRequest, Attempts, Audit, Channels, CleanupReply, CleanupRequest,
    Credential, CredentialRef, CredentialRequest, Credentials, Deps, Errors as ErrorGroups, Event,
    FarmSettings, Health, History, HostDetail, HostWhy, Hosts, Info, ItemStates, ItemWhy, Items,
    JobDetail, Jobs, JoinReply, JoinRequest, JoinToken, JoinTokenRequest, MailWishes,
    ModifyRequest, NewToken, NotifyReloaded, NotifyTest, NotifyTested, ReconfigureReply,
    ReconfigureRequest, ResourceRequest, ResourceRow, Resources, SealOffer, Session, SessionLink,
    SessionRequest, SetMailWishes, SetWorkerFile, SiteCertificate, SubmitReply, SubmitRequest,
    Timeline, TokenRequest, Tokens, Trends, Usage, WhileActive, Why, WorkerFile, WorkerFileCheck,
    WorkerFileChecked,
};
use crate::types::{CalendarRequest, FarmModes, LockRequest, ModeRequest, UnlockRequest};

/// What every endpoint may answer instead.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "read by utoipa only")]
enum Errors {
    /// Refused or failed; the status is that of the code.
    #[response(status = "default")]
    Refused(ApiError),
}

macro_rules! endpoint {
    ($(#[$doc:meta])* $name:ident: $($path:tt)*) => {
        $(#[$doc])*
        #[utoipa::path($($path)*)]
        pub fn $name() {}
    };
}

endpoint!(
    /// Says whether the supervisor serves; needs no token.
    health: get, path = "/health", tag = "farm", security(()), responses((status = 200, body = Health)));
endpoint!(
    /// This document; needs no token.
    openapi: get, path = "/openapi.json", tag = "farm", security(()), responses((status = 200, body = Object)));
endpoint!(
    /// What farm this is, and who you are to it.
    info: get, path = "/info", tag = "farm", responses((status = 200, body = Info), Errors));
endpoint!(
    /// Submits a job.
    ///
    /// Answered when it is durable. All errors of the request come at once. The status is 200 when it existed already, by its
    /// key, or was only checked.
    submit: post, path = "/jobs", tag = "jobs", params(SubmitQuery), request_body = SubmitRequest,
    responses((status = 201, body = SubmitReply), (status = 200, body = SubmitReply), Errors));
endpoint!(
    /// Lists jobs, the newest first.
    jobs: get, path = "/jobs", tag = "jobs", params(JobsQuery), responses((status = 200, body = Jobs), Errors));
endpoint!(
    /// Everything about a job but its items.
    job: get, path = "/jobs/{id}", tag = "jobs", params(("id" = u64, Path, description = "The job")),
    responses((status = 200, body = JobDetail), Errors));
endpoint!(
    /// Changes a job.
    modify: patch, path = "/jobs/{id}", tag = "jobs", params(("id" = u64, Path, description = "The job")),
    request_body = ModifyRequest, responses((status = 204), Errors));
endpoint!(
    /// Submits an old job again, with the differences in the body.
    ///
    /// A chunk replaces partitions and the other way round; a command without a name takes its own name.
    resubmit: post, path = "/jobs/{id}/resubmit", tag = "jobs", params(("id" = u64, Path, description = "The job")),
    request_body = SubmitRequest, responses((status = 201, body = SubmitReply), (status = 200, body = SubmitReply), Errors));
endpoint!(
    /// Lists the items of a job in the agenda's order.
    items: get, path = "/jobs/{id}/items", tag = "jobs", params(("id" = u64, Path, description = "The job"), ItemsQuery),
    responses((status = 200, body = Items), Errors));
endpoint!(
    /// The state of every item of a job, one letter each.
    item_states: get, path = "/jobs/{id}/states", tag = "jobs", params(("id" = u64, Path, description = "The job")),
    responses((status = 200, body = ItemStates), Errors));
endpoint!(
    /// Lists the attempts of an item, the first first.
    attempts: get, path = "/jobs/{id}/items/{item}/attempts", tag = "jobs",
    params(("id" = u64, Path, description = "The job"), ("item" = u32, Path, description = "The item's place, from 0")),
    responses((status = 200, body = Attempts), Errors));
endpoint!(
    /// The output of an attempt.
    ///
    /// Plain bytes, or frames when `framed` is set or both streams are asked for. A frame is a kind (one byte), a length (four
    /// bytes, most significant first) and so many bytes: kind 1 is stdout, 2 stderr, 0 (empty) nothing new, 3 (empty) the end of
    /// what was asked for. Offsets count bytes of output only. With `follow` the answer goes on until the attempt has ended and
    /// all was sent. An item that has never run is answered with 409.
    log: get, path = "/jobs/{id}/items/{item}/log", tag = "jobs",
    params(("id" = u64, Path, description = "The job"), ("item" = u32, Path, description = "The item's place, from 0"), LogQuery),
    responses(
        (status = 200, content_type = "application/octet-stream", body = String, headers(
            ("X-Tessera-Attempt" = u32, description = "The attempt"),
            ("X-Tessera-Offset" = u64, description = "The place of the first byte"),
            ("X-Tessera-Size" = u64, description = "How many bytes there are now"),
            ("X-Tessera-Complete" = bool, description = "Whether the attempt has ended and no more will come"),
        )),
        Errors));
endpoint!(
    /// What happened to a job, the oldest first.
    history: get, path = "/jobs/{id}/history", tag = "jobs", params(("id" = u64, Path, description = "The job"), HistoryQuery),
    responses((status = 200, body = History), Errors));
endpoint!(
    /// Why a job does not run, or not more of it.
    why: get, path = "/jobs/{id}/why", tag = "jobs", params(("id" = u64, Path, description = "The job")),
    responses((status = 200, body = Why), Errors));
endpoint!(
    /// Why an item does not run, or how it stands with it.
    item_why: get, path = "/jobs/{id}/items/{item}/why", tag = "jobs",
    params(("id" = u64, Path, description = "The job"), ("item" = u32, Path, description = "The item's place, from 0")),
    responses((status = 200, body = ItemWhy), Errors));
endpoint!(
    /// What a job waits for and who waits for it, with all that hang together with them.
    deps: get, path = "/jobs/{id}/deps", tag = "jobs", params(("id" = u64, Path, description = "The job")),
    responses((status = 200, body = Deps), Errors));
endpoint!(
    /// Acts on jobs, instances or items.
    ///
    /// Each target has its own result; one refusal stops no other.
    act: post, path = "/actions", tag = "jobs", request_body = ActionRequest, responses((status = 200, body = ActionReply), Errors));
endpoint!(
    /// Lists hosts by name.
    hosts: get, path = "/hosts", tag = "hosts", responses((status = 200, body = Hosts), Errors));
endpoint!(
    /// Everything about a host.
    host: get, path = "/hosts/{host}", tag = "hosts", params(("host" = String, Path, description = "Its name or id")),
    responses((status = 200, body = HostDetail), Errors));
endpoint!(
    /// What the farm's configuration of workers sets for a host, and what its worker took.
    host_settings: get, path = "/hosts/{host}/settings", tag = "hosts", params(("host" = String, Path, description = "Its name or id")),
    responses((status = 200, body = FarmSettings), Errors));
endpoint!(
    /// Reads the configuration of workers anew and sends each connected host what it sets for it.
    ///
    /// Needs no restart and ends no job. With mistakes in the file nothing changes; each is listed with its line. Answered when
    /// the hosts have said what they took, or after some seconds.
    reconfigure: post, path = "/reconfigure", tag = "hosts", request_body = ReconfigureRequest,
    responses((status = 200, body = ReconfigureReply), Errors));
endpoint!(
    /// The configuration of workers, `workers.toml`, as it stands on the supervisor's host; needs an administrator.
    worker_file: get, path = "/worker-file", tag = "hosts", responses((status = 200, body = WorkerFile), Errors));
endpoint!(
    /// Says what is wrong with a text for `workers.toml`, and what it would change for which connected host; needs an administrator.
    ///
    /// Nothing is kept of it.
    check_worker_file: post, path = "/worker-file/check", tag = "hosts", request_body = WorkerFileCheck,
    responses((status = 200, body = WorkerFileChecked), Errors));
endpoint!(
    /// Puts another text in the place of `workers.toml` and has it read anew, as `/reconfigure` does; needs an administrator.
    ///
    /// Refused with 403 when the file is not the supervisor's own, or when the text sets paths of desktops (`worker_path_map`)
    /// otherwise; with 409 when the file was changed since the version that is named; with 422 when it has mistakes. Then nothing changes.
    set_worker_file: put, path = "/worker-file", tag = "hosts", request_body = SetWorkerFile,
    responses((status = 200, body = ReconfigureReply), Errors));
endpoint!(
    /// Forgets a host; one that is connected only with `force`.
    remove_host: delete, path = "/hosts/{host}", tag = "hosts", params(("host" = String, Path, description = "Its name or id"), RemoveHostQuery),
    responses((status = 204), Errors));
endpoint!(
    /// The modes of maintenance that the farm is in: it takes no submissions, or starts nothing.
    modes: get, path = "/modes", tag = "farm", responses((status = 200, body = FarmModes)));
endpoint!(
    /// Sets a mode of maintenance, for administrators.
    ///
    /// `reject_submit`: submissions are refused. `stop_activity`: nothing is started; what runs goes on to the end of its frame.
    set_mode: put, path = "/modes/{mode}", tag = "farm", params(("mode" = String, Path, description = "reject_submit or stop_activity")),
    request_body = Option<ModeRequest>,
    responses((status = 204), Errors));
endpoint!(
    /// Unsets a mode of maintenance, for administrators.
    unset_mode: delete, path = "/modes/{mode}", tag = "farm", params(("mode" = String, Path, description = "reject_submit or stop_activity")),
    responses((status = 204), Errors));
endpoint!(
    /// Locks a host, or some of its slots: it finishes what it has and is given nothing.
    ///
    /// Without a body all of it, until somebody unlocks it.
    lock_host: post, path = "/hosts/{host}/lock", tag = "hosts", params(("host" = String, Path, description = "Its name or id")),
    request_body = Option<LockRequest>,
    responses((status = 204), Errors));
endpoint!(
    /// Locks a host at certain hours of each week, by its own clock. Unlocking takes it back.
    lock_host_calendar: post, path = "/hosts/{host}/lock-calendar", tag = "hosts",
        params(("host" = String, Path, description = "Its name or id")), request_body = CalendarRequest,
    responses((status = 204), Errors));
endpoint!(
    /// Locks a host for as long as somebody is active there.
    ///
    /// Its worker looks how long nobody has touched it; what it can't see counts as active unless its own configuration says
    /// otherwise. Unlocking takes it back.
    lock_host_while_active: post, path = "/hosts/{host}/lock-while-active", tag = "hosts",
        params(("host" = String, Path, description = "Its name or id")), request_body = WhileActive,
    responses((status = 204), Errors));
endpoint!(
    /// Unlocks a host, or some of its slots. Without a body all of it.
    unlock_host: post, path = "/hosts/{host}/unlock", tag = "hosts", params(("host" = String, Path, description = "Its name or id")),
    request_body = Option<UnlockRequest>,
    responses((status = 204), Errors));
endpoint!(
    /// What hosts ran within a time, and what they run.
    timeline: get, path = "/timeline", tag = "hosts", params(TimelineQuery), responses((status = 200, body = Timeline), Errors));
endpoint!(
    /// Why a host does not run, or not more.
    host_why: get, path = "/hosts/{host}/why", tag = "hosts", params(("host" = String, Path, description = "Its name or id")),
    responses((status = 200, body = HostWhy), Errors));
endpoint!(
    /// Streams what happens, as server-sent events.
    ///
    /// The event's name is the `kind`, its id the `seq`, its data an `Event`. To resume send `Last-Event-ID` or `after`. The
    /// first event is `hello` and tells where the stream begins; `resync` says that what was asked to resume after is no longer
    /// kept: read the state anew. Both have `Resync` as data. A comment comes at least every 15 seconds.
    events: get, path = "/events", tag = "farm",
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header, description = "Resume after this event")),
    responses((status = 200, content_type = "text/event-stream", body = Event), Errors));
endpoint!(
    /// Lists the caller's tokens, or everybody's for an administrator.
    tokens: get, path = "/tokens", tag = "access", responses((status = 200, body = Tokens), Errors));
endpoint!(
    /// Makes a token; only this answer shows it.
    create_token: post, path = "/tokens", tag = "access", request_body = TokenRequest,
    responses((status = 201, body = NewToken), Errors));
endpoint!(
    /// Revokes a token.
    revoke_token: delete, path = "/tokens/{id}", tag = "access", params(("id" = String, Path, description = "Its id")),
    responses((status = 204), Errors));
endpoint!(
    /// Lists the caller's registered passwords, or everybody's for an administrator; never a password.
    credentials: get, path = "/credentials", tag = "access", responses((status = 200, body = Credentials), Errors));
endpoint!(
    /// What a client needs to seal a password: the keys of a pool's workers, signed by the farm's CA.
    seal_offer: post, path = "/credentials/offer", tag = "access", request_body = CredentialRef,
    responses((status = 200, body = SealOffer), Errors));
endpoint!(
    /// Registers a sealed password.
    ///
    /// It is kept as it is; the supervisor can't open it. One worker tries it with one logon, which the answer does not wait
    /// for: list them to see. Work that waited for it goes on. 409 when it was sealed for a number that is taken meanwhile.
    register_credential: post, path = "/credentials", tag = "access", request_body = CredentialRequest,
    responses((status = 201, body = Credential), Errors));
endpoint!(
    /// Has a registered password checked with one more logon; 409 when the last try was too short a time ago.
    check_credential: post, path = "/credentials/check", tag = "access", request_body = CredentialRef,
    responses((status = 200, body = Credential), Errors));
endpoint!(
    /// Revokes a registered password, here and on every worker.
    revoke_credential: post, path = "/credentials/revoke", tag = "access", request_body = CredentialRef,
    responses((status = 200, body = Credential), Errors));
endpoint!(
    /// Begins a session of a browser; the link or the token is the only proof.
    ///
    /// The answer sets a cookie that only this origin's page sends and no script can read. Whoever is known by it must say
    /// `X-Tessera-Web: 1` in every request that changes something, and in this one.
    begin_session: post, path = "/session", tag = "access", security(()), request_body = SessionRequest,
    responses((status = 201, body = Session), Errors));
endpoint!(
    /// Ends the session that asks for it, and takes its cookie back.
    end_session: delete, path = "/session", tag = "access", responses((status = 204), Errors));
endpoint!(
    /// Makes a link that logs a browser in as the caller, once and soon; a session can't make any.
    create_session_link: post, path = "/session/links", tag = "access",
    responses((status = 201, body = SessionLink), Errors));
endpoint!(
    /// Makes a join token for one host; needs an administrator.
    create_join_token: post, path = "/join-tokens", tag = "access", request_body = JoinTokenRequest,
    responses((status = 201, body = JoinToken), Errors));
endpoint!(
    /// Enrols a host; the join token is the only proof.
    join: post, path = "/join", tag = "access", security(()), request_body = JoinRequest,
    responses((status = 201, body = JoinReply), Errors));
endpoint!(
    /// What failed, grouped by the line that was printed last and tells why.
    ///
    /// Of jobs whose output the caller may read: own ones, or all for an administrator. Lines are read from the output that is
    /// kept; they are one line each, at most 240 characters, without control characters, and still whatever a job wanted to print.
    errors: get, path = "/errors", tag = "jobs", params(ErrorsQuery), responses((status = 200, body = ErrorGroups), Errors));
endpoint!(
    /// How the farm fared: slots, memory, waits, failures, and who had how much of it.
    trends: get, path = "/trends", tag = "farm", params(TrendsQuery), responses((status = 200, body = Trends), Errors));
endpoint!(
    /// Who did what to the farm, and who was refused, the newest first; needs an administrator.
    ///
    /// Out of the farm's history, for as long as that is kept. What launchers record of who became whom stays on their hosts.
    audit: get, path = "/audit", tag = "farm", params(AuditQuery), responses((status = 200, body = Audit), Errors));
endpoint!(
    /// What the farm's state takes on disk.
    usage: get, path = "/usage", tag = "farm", responses((status = 200, body = Usage), Errors));
endpoint!(
    /// Removes ended jobs, or says which it would; needs an administrator.
    cleanup: post, path = "/cleanup", tag = "farm", request_body = CleanupRequest,
    responses((status = 200, body = CleanupReply), Errors));
endpoint!(
    /// Lists the channels over which people are told, and how they fare; needs an administrator.
    channels: get, path = "/notify", tag = "farm", responses((status = 200, body = Channels), Errors));
endpoint!(
    /// Reads `notify.toml` anew, and says what that changed; a faulty one changes nothing. Needs an administrator.
    notify_reload: post, path = "/notify/reload", tag = "farm",
    responses((status = 200, body = NotifyReloaded), Errors));
endpoint!(
    /// Answers what the caller wishes to be mailed of all their jobs.
    wishes: get, path = "/notify/wishes", tag = "farm", responses((status = 200, body = MailWishes), Errors));
endpoint!(
    /// Sets it.
    set_wishes: post, path = "/notify/wishes", tag = "farm", request_body = SetMailWishes,
    responses((status = 200, body = MailWishes), Errors));
endpoint!(
    /// The certificate of the site's own that browsers are shown, and what is wrong with it; needs an administrator.
    site: get, path = "/site", tag = "farm", responses((status = 200, body = SiteCertificate), Errors));
endpoint!(
    /// Reads that certificate and its key anew; a faulty one changes nothing. Needs an administrator.
    site_reload: post, path = "/site/reload", tag = "farm", responses((status = 200, body = SiteCertificate), Errors));
endpoint!(
    /// Lists the farm's own resources, what is taken of them and by whom, and which clusters have parts of the farm.
    resources: get, path = "/resources", tag = "farm", responses((status = 200, body = Resources), Errors));
endpoint!(
    /// Says how many there are of a resource, or how many are in use; needs an administrator.
    ///
    /// What is in use elsewhere may be said for a time only: a poller of a licence server that ends must not hold licences for ever.
    set_resource: put, path = "/resources/{name}", tag = "farm", params(("name" = String, Path, description = "`global.NAME`, `license.NAME`, `global_host.NAME`, `license_host.NAME` or `scoped.NAME`")),
    request_body = ResourceRequest, responses((status = 200, body = ResourceRow), Errors));
endpoint!(
    /// Forgets what was said of a resource; what the configuration says stays. Needs an administrator.
    remove_resource: delete, path = "/resources/{name}", tag = "farm", params(("name" = String, Path, description = "`global.NAME`, `license.NAME`, `global_host.NAME`, `license_host.NAME` or `scoped.NAME`")),
    responses((status = 204), Errors));
endpoint!(
    /// Sends a test over one channel or all, and says what came of it; needs an administrator.
    notify_test: post, path = "/notify/test", tag = "farm", request_body = NotifyTest,
    responses((status = 200, body = NotifyTested), Errors));
