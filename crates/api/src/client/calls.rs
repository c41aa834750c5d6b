//! One method an endpoint.

use super::events::EventStream;
use super::log::{LogFollower, LogPart};
use super::{Client, ClientError};
use crate::PREFIX;
use crate::query::{
    self, AuditQuery, ErrorsQuery, EventsQuery, HistoryQuery, ItemsQuery, JobsQuery, LogQuery,
    RemoveHostQuery, SubmitQuery, TimelineQuery, TrendsQuery,
};
use crate::types::{
    ActionReply, ActionRequest, Attempts, Audit, Channels, CleanupReply, CleanupRequest,
    Credential, CredentialRef, Credentials, Deps, Errors, FarmSettings, Health, History,
    HostDetail, HostWhy, Hosts, Info, ItemStates, ItemWhy, Items, JobDetail, Jobs, JoinReply,
    JoinRequest, JoinToken, JoinTokenRequest, MailWishes, ModifyRequest, NewToken, NotifyReloaded,
    NotifyTest, NotifyTested, ReconfigureReply, ReconfigureRequest, ResourceRequest, ResourceRow,
    Resources, SessionLink, SetMailWishes, SetWorkerFile, SiteCertificate, SubmitReply,
    SubmitRequest, Timeline, TokenRequest, Tokens, Trends, Usage, WhileActive, Why, WorkerFile,
    WorkerFileCheck, WorkerFileChecked,
};
use crate::types::{CalendarRequest, FarmModes, LockRequest, ModeRequest, UnlockRequest};
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a call answers.
type Answer<T> = Result<T, ClientError>;

macro_rules! errors {
    () => {
        "\n\n# Errors\nWhen the supervisor can't be reached or refuses."
    };
}

impl Client {
    #[doc = concat!("Says whether the supervisor serves; needs no token.", errors!())]
    pub async fn health(&self) -> Answer<Health> {
        self.get("/health").await
    }

    #[doc = concat!("Answers what farm this is and who the caller is to it.", errors!())]
    pub async fn info(&self) -> Answer<Info> {
        self.get("/info").await
    }

    #[doc = concat!("Submits a job; `dry_run` only checks it.", errors!())]
    pub async fn submit(&self, job: &SubmitRequest, dry_run: bool) -> Answer<SubmitReply> {
        self.post(
            &format!("/jobs{}", query::print(&SubmitQuery { dry_run })),
            job,
        )
        .await
    }

    #[doc = concat!("Answers a page of jobs, the newest first.", errors!())]
    pub async fn jobs(&self, which: &JobsQuery) -> Answer<Jobs> {
        self.get(&format!("/jobs{}", query::print(which))).await
    }

    #[doc = concat!("Answers everything about a job but its items.", errors!())]
    pub async fn job(&self, job: u64) -> Answer<JobDetail> {
        self.get(&format!("/jobs/{job}")).await
    }

    #[doc = concat!("Answers a page of a job's items.", errors!())]
    pub async fn items(&self, job: u64, which: &ItemsQuery) -> Answer<Items> {
        self.get(&format!("/jobs/{job}/items{}", query::print(which)))
            .await
    }

    #[doc = concat!("Answers the state of every item of a job.", errors!())]
    pub async fn item_states(&self, job: u64) -> Answer<ItemStates> {
        self.get(&format!("/jobs/{job}/states")).await
    }

    #[doc = concat!("Makes a link that logs a browser in as the caller, once.", errors!())]
    pub async fn create_session_link(&self) -> Answer<SessionLink> {
        self.transport.post(&path("/session/links"), &()).await
    }

    #[doc = concat!("Answers the attempts of an item (its place from 0).", errors!())]
    pub async fn attempts(&self, job: u64, item: u32) -> Answer<Attempts> {
        self.get(&format!("/jobs/{job}/items/{item}/attempts"))
            .await
    }

    #[doc = concat!("Answers a page of a job's history.", errors!())]
    pub async fn history(&self, job: u64, which: &HistoryQuery) -> Answer<History> {
        self.get(&format!("/jobs/{job}/history{}", query::print(which)))
            .await
    }

    #[doc = concat!("Answers what failed, grouped by the line that tells why.", errors!())]
    pub async fn errors(&self, which: &ErrorsQuery) -> Answer<Errors> {
        self.get(&format!("/errors{}", query::print(which))).await
    }

    #[doc = concat!("Answers why a job does not run, or not more of it.", errors!())]
    pub async fn why(&self, job: u64) -> Answer<Why> {
        self.get(&format!("/jobs/{job}/why")).await
    }

    #[doc = concat!("Answers why an item (its place from 0) does not run.", errors!())]
    pub async fn item_why(&self, job: u64, item: u32) -> Answer<ItemWhy> {
        self.get(&format!("/jobs/{job}/items/{item}/why")).await
    }

    #[doc = concat!("Answers what a job waits for and who waits for it.", errors!())]
    pub async fn deps(&self, job: u64) -> Answer<Deps> {
        self.get(&format!("/jobs/{job}/deps")).await
    }

    #[doc = concat!("Acts on jobs, instances or items; each target has its own result.", errors!())]
    pub async fn act(&self, action: &ActionRequest) -> Answer<ActionReply> {
        self.post("/actions", action).await
    }

    #[doc = concat!("Changes a job.", errors!())]
    pub async fn modify(&self, job: u64, change: &ModifyRequest) -> Answer<()> {
        self.transport
            .send_json(Method::PATCH, &path(&format!("/jobs/{job}")), change)
            .await
    }

    #[doc = concat!("Submits an old job again, with these differences.", errors!())]
    pub async fn resubmit(&self, job: u64, differences: &SubmitRequest) -> Answer<SubmitReply> {
        self.post(&format!("/jobs/{job}/resubmit"), differences)
            .await
    }

    #[doc = concat!("Reads a piece of an attempt's output as far as there is any (item: its place from 0).", errors!())]
    pub async fn log(&self, job: u64, item: u32, which: &LogQuery) -> Answer<LogPart> {
        LogPart::read(&self.transport, job, item, which).await
    }

    #[doc = concat!("Follows an attempt's output until it has ended and everything was read.", errors!())]
    pub async fn follow_log(&self, job: u64, item: u32, which: LogQuery) -> Answer<LogFollower> {
        LogFollower::open(self.transport.clone(), job, item, which).await
    }

    #[doc = concat!("Answers all hosts.", errors!())]
    pub async fn hosts(&self) -> Answer<Hosts> {
        self.get("/hosts").await
    }

    #[doc = concat!("Answers everything about a host, by name or id.", errors!())]
    pub async fn host(&self, host: &str) -> Answer<HostDetail> {
        self.get(&host_path(host, "")).await
    }

    #[doc = concat!("Answers what the farm sets for a host.", errors!())]
    pub async fn host_settings(&self, host: &str) -> Answer<FarmSettings> {
        self.get(&host_path(host, "/settings")).await
    }

    #[doc = concat!("Has the configuration of workers read anew, and told to the hosts.", errors!())]
    pub async fn reconfigure(&self, request: &ReconfigureRequest) -> Answer<ReconfigureReply> {
        self.post("/reconfigure", request).await
    }

    #[doc = concat!("Locks a host: it finishes what it has and is given nothing.", errors!())]
    pub async fn lock_host(&self, host: &str) -> Answer<()> {
        self.transport
            .send(Method::POST, &path(&host_path(host, "/lock")))
            .await
    }

    #[doc = concat!("Answers the modes of maintenance that the farm is in.", errors!())]
    pub async fn modes(&self) -> Answer<FarmModes> {
        self.get("/modes").await
    }

    #[doc = concat!("Sets a mode of maintenance.", errors!())]
    pub async fn set_mode(&self, mode: &str, why: &ModeRequest) -> Answer<()> {
        self.transport
            .send_json(Method::PUT, &path(&mode_path(mode)), why)
            .await
    }

    #[doc = concat!("Unsets a mode of maintenance.", errors!())]
    pub async fn unset_mode(&self, mode: &str) -> Answer<()> {
        let mode = mode_path(mode);
        self.transport.send(Method::DELETE, &path(&mode)).await
    }

    #[doc = concat!("Locks a host, or some of its slots, in a certain way.", errors!())]
    pub async fn lock_host_so(&self, host: &str, how: &LockRequest) -> Answer<()> {
        self.transport
            .send_json(Method::POST, &path(&host_path(host, "/lock")), how)
            .await
    }

    #[doc = concat!("Locks a host at certain hours of each week.", errors!())]
    pub async fn lock_host_calendar(&self, host: &str, when: &CalendarRequest) -> Answer<()> {
        self.transport
            .send_json(
                Method::POST,
                &path(&host_path(host, "/lock-calendar")),
                when,
            )
            .await
    }

    #[doc = concat!("Locks a host for as long as somebody is active there.", errors!())]
    pub async fn lock_host_while_active(&self, host: &str, rule: &WhileActive) -> Answer<()> {
        self.transport
            .send_json(
                Method::POST,
                &path(&host_path(host, "/lock-while-active")),
                rule,
            )
            .await
    }

    #[doc = concat!("Unlocks a host.", errors!())]
    pub async fn unlock_host(&self, host: &str) -> Answer<()> {
        self.transport
            .send(Method::POST, &path(&host_path(host, "/unlock")))
            .await
    }

    #[doc = concat!("Unlocks some slots of a host.", errors!())]
    pub async fn unlock_host_slots(&self, host: &str, which: &UnlockRequest) -> Answer<()> {
        self.transport
            .send_json(Method::POST, &path(&host_path(host, "/unlock")), which)
            .await
    }

    #[doc = concat!("Forgets a host; one that is connected only with `force`.", errors!())]
    pub async fn remove_host(&self, host: &str, how: &RemoveHostQuery) -> Answer<()> {
        let host = format!("{}{}", host_path(host, ""), query::print(how));
        self.transport.send(Method::DELETE, &path(&host)).await
    }

    #[doc = concat!("Answers why a host does not run, or not more.", errors!())]
    pub async fn host_why(&self, host: &str) -> Answer<HostWhy> {
        self.get(&host_path(host, "/why")).await
    }

    /// Follows what happens. When this answers, everything from then on (or from `after` on) will come.
    ///
    /// # Errors
    /// When the supervisor can't be reached or refuses.
    pub async fn events(&self, which: EventsQuery) -> Answer<EventStream> {
        EventStream::open(self.transport.clone(), which).await
    }

    #[doc = concat!("Makes a token.", errors!())]
    pub async fn create_token(&self, token: &TokenRequest) -> Answer<NewToken> {
        self.post("/tokens", token).await
    }

    #[doc = concat!("Answers the caller's tokens, or everybody's for an administrator.", errors!())]
    pub async fn tokens(&self) -> Answer<Tokens> {
        self.get("/tokens").await
    }

    #[doc = concat!("Revokes a token by its id.", errors!())]
    pub async fn revoke_token(&self, id: &str) -> Answer<()> {
        let mut below = "/tokens/".to_owned();
        query::push_encoded(&mut below, id);
        self.transport.send(Method::DELETE, &path(&below)).await
    }

    #[doc = concat!("Answers the caller's registered passwords, or everybody's for an administrator.", errors!())]
    pub async fn credentials(&self) -> Answer<Credentials> {
        self.get("/credentials").await
    }

    #[doc = concat!("Has a registered password checked once more; answers what is known so far.", errors!())]
    pub async fn check_credential(&self, of: &CredentialRef) -> Answer<Credential> {
        self.post("/credentials/check", of).await
    }

    #[doc = concat!("Revokes a registered password, here and on every worker.", errors!())]
    pub async fn revoke_credential(&self, of: &CredentialRef) -> Answer<Credential> {
        self.post("/credentials/revoke", of).await
    }

    #[doc = concat!("Makes a join token for one host.", errors!())]
    pub async fn create_join_token(&self, token: &JoinTokenRequest) -> Answer<JoinToken> {
        self.post("/join-tokens", token).await
    }

    #[doc = concat!("Enrols a host; the token inside is the only proof.", errors!())]
    pub async fn join(&self, host: &JoinRequest) -> Answer<JoinReply> {
        self.post("/join", host).await
    }

    #[doc = concat!("Removes ended jobs, or says which it would.", errors!())]
    pub async fn cleanup(&self, what: &CleanupRequest) -> Answer<CleanupReply> {
        self.post("/cleanup", what).await
    }

    #[doc = concat!("Answers what the farm's state takes on disk.", errors!())]
    pub async fn usage(&self) -> Answer<Usage> {
        self.get("/usage").await
    }

    #[doc = concat!("Answers the configuration of workers as it stands.", errors!())]
    pub async fn worker_file(&self) -> Answer<WorkerFile> {
        self.get("/worker-file").await
    }

    #[doc = concat!("Answers what a text for it would come to.", errors!())]
    pub async fn check_worker_file(&self, text: &WorkerFileCheck) -> Answer<WorkerFileChecked> {
        self.post("/worker-file/check", text).await
    }

    #[doc = concat!("Puts another text in its place and has it read anew.", errors!())]
    pub async fn set_worker_file(&self, text: &SetWorkerFile) -> Answer<ReconfigureReply> {
        self.transport.put(&path("/worker-file"), text).await
    }

    #[doc = concat!("Answers who did what to the farm.", errors!())]
    pub async fn audit(&self, which: &AuditQuery) -> Answer<Audit> {
        self.get(&format!("/audit{}", query::print(which))).await
    }

    #[doc = concat!("Answers what hosts ran within a time.", errors!())]
    pub async fn timeline(&self, which: &TimelineQuery) -> Answer<Timeline> {
        self.get(&format!("/timeline{}", query::print(which))).await
    }

    #[doc = concat!("Answers how the farm fared over the last hours.", errors!())]
    pub async fn trends(&self, which: &TrendsQuery) -> Answer<Trends> {
        self.get(&format!("/trends{}", query::print(which))).await
    }

    #[doc = concat!("Answers the channels over which people are told.", errors!())]
    pub async fn channels(&self) -> Answer<Channels> {
        self.get("/notify").await
    }

    #[doc = concat!("Has `notify.toml` read anew.", errors!())]
    pub async fn notify_reload(&self) -> Answer<NotifyReloaded> {
        self.post("/notify/reload", &()).await
    }

    #[doc = concat!("Sends a test over a channel, or all.", errors!())]
    pub async fn notify_test(&self, what: &NotifyTest) -> Answer<NotifyTested> {
        self.post("/notify/test", what).await
    }

    #[doc = concat!("Answers what the caller wishes to be mailed of all their jobs.", errors!())]
    pub async fn wishes(&self) -> Answer<MailWishes> {
        self.get("/notify/wishes").await
    }

    #[doc = concat!("Sets what the caller wishes to be mailed of all their jobs.", errors!())]
    pub async fn set_wishes(&self, wishes: &SetMailWishes) -> Answer<MailWishes> {
        self.post("/notify/wishes", wishes).await
    }

    #[doc = concat!("Answers the certificate of the site's own that browsers are shown.", errors!())]
    pub async fn site_certificate(&self) -> Answer<SiteCertificate> {
        self.get("/site").await
    }

    #[doc = concat!("Has that certificate read anew.", errors!())]
    pub async fn site_reload(&self) -> Answer<SiteCertificate> {
        self.post("/site/reload", &()).await
    }

    #[doc = concat!("Answers the farm's own resources.", errors!())]
    pub async fn resources(&self) -> Answer<Resources> {
        self.get("/resources").await
    }

    #[doc = concat!("Says how many there are of a resource, or how many are in use.", errors!())]
    pub async fn set_resource(&self, name: &str, said: &ResourceRequest) -> Answer<ResourceRow> {
        self.transport.put(&path(&resource_path(name)), said).await
    }

    #[doc = concat!("Forgets what was said of a resource.", errors!())]
    pub async fn remove_resource(&self, name: &str) -> Answer<()> {
        let below = resource_path(name);
        self.transport.send(Method::DELETE, &path(&below)).await
    }

    #[doc = concat!("Answers the supervisor's OpenAPI document.", errors!())]
    pub async fn openapi(&self) -> Answer<serde_json::Value> {
        self.get("/openapi.json").await
    }

    async fn get<T: DeserializeOwned>(&self, below: &str) -> Answer<T> {
        self.transport.get(&path(below)).await
    }

    async fn post<T: DeserializeOwned>(&self, below: &str, body: &impl Serialize) -> Answer<T> {
        self.transport.post(&path(below), body).await
    }
}

/// Answers the whole path.
pub(super) fn path(below: &str) -> String {
    format!("{PREFIX}{below}")
}

fn mode_path(mode: &str) -> String {
    let mut path = "/modes/".to_owned();
    query::push_encoded(&mut path, mode);
    path
}

fn resource_path(name: &str) -> String {
    let mut path = "/resources/".to_owned();
    query::push_encoded(&mut path, name);
    path
}

fn host_path(host: &str, below: &str) -> String {
    let mut path = "/hosts/".to_owned();
    query::push_encoded(&mut path, host);
    path + below
}
