//! All hosts of the farm: they join, connect, and are told what to do.

use super::host::{Host, Orders, Shared};
use super::supervisor::{Supervisor, io};
use super::{WireError, WireOptions};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tessera_api::Client;
use tessera_api::client::Fingerprint;
use tessera_api::types::{JoinRequest, JoinTokenRequest};
use tessera_model::HostFacts;
use tessera_wire::link::WorkerLink;
use tessera_wire::pki::{JoinString, WorkerIdentity};
use tessera_wire::tls::WorkerTls;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Hosts that join or connect at a time.
const AT_A_TIME: usize = 32;
/// MiB of memory of each.
const MEMORY_MIB: u64 = 65_536;

/// All hosts.
pub(super) struct Crowd {
    pub(super) shared: Arc<Shared>,
    orders: Vec<mpsc::UnboundedSender<()>>,
    pub(super) joined: Duration,
    pub(super) connected: Duration,
}

impl Crowd {
    /// Has all hosts join, then connect.
    pub(super) async fn gather(
        options: &WireOptions,
        supervisor: &Supervisor,
        shared: Arc<Shared>,
    ) -> Result<Self, WireError> {
        raise_open_files(options.hosts)?;
        let began = Instant::now();
        let client = supervisor.client();
        let ca: Fingerprint = client.info().await?.ca_sha256.parse().map_err(|_bad| {
            WireError::Wrong("the supervisor says a fingerprint that is none".to_owned())
        })?;
        let address = supervisor.address;
        let identities = all(options.hosts, |number| {
            enrol(
                number,
                client.clone(),
                Client::tls(address.to_string(), ca, None),
            )
        });
        let identities = identities.await?;
        let joined = began.elapsed();
        let began = Instant::now();
        let identities = Arc::new(identities);
        let slots = options.slots;
        let orders = all(options.hosts, |number| {
            let (identities, shared) = (Arc::clone(&identities), Arc::clone(&shared));
            async move {
                let (tell, orders) = mpsc::unbounded_channel();
                let identity = &identities[number as usize];
                connect(identity, address, slots, shared, orders).await?;
                Ok(tell)
            }
        });
        Ok(Self {
            orders: orders.await?,
            shared,
            joined,
            connected: began.elapsed(),
        })
    }

    /// Has a host end what it began first.
    pub(super) fn end_one(&self, host: usize) {
        if let Some(orders) = self.orders.get(host % self.orders.len()) {
            // Who lost its connection is counted.
            let _ = orders.send(());
        }
    }
}

/// Does something for each host, some at a time; the answers are in order.
async fn all<T, F>(hosts: u32, each: impl Fn(u32) -> F) -> Result<Vec<T>, WireError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, WireError>> + Send + 'static,
{
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    let mut set = JoinSet::new();
    for number in 0..hosts {
        let (gate, job) = (Arc::clone(&gate), each(number));
        set.spawn(async move {
            let _pass = gate.acquire_owned().await;
            job.await.map(|done| (number, done))
        });
    }
    let mut done = Vec::with_capacity(hosts as usize);
    while let Some(one) = set.join_next().await {
        let one = one.map_err(|error| WireError::Wrong(format!("a host failed: {error}")))?;
        done.push(one?);
    }
    done.sort_unstable_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, it)| it).collect())
}

async fn enrol(number: u32, admin: Client, stranger: Client) -> Result<WorkerIdentity, WireError> {
    let token = admin
        .create_join_token(&JoinTokenRequest::default())
        .await?;
    let join: JoinString = token.join_string.parse().map_err(|_bad| {
        WireError::Wrong("the supervisor says a join string that is none".to_owned())
    })?;
    let request = WorkerIdentity::generate_csr()?;
    let asked = JoinRequest {
        token: join.token.reveal(),
        csr_pem: request.csr_pem().to_owned(),
        name: format!("sim{number:05}"),
    };
    let reply = stranger.join(&asked).await?;
    Ok(request.complete(&reply.certificate_pem, &reply.ca_pem, join.ca)?)
}

async fn connect(
    identity: &WorkerIdentity,
    address: SocketAddr,
    slots: u32,
    shared: Arc<Shared>,
    orders: Orders,
) -> Result<(), WireError> {
    let tls = WorkerTls::new(identity)?;
    let stream = tls.connect(&address.to_string()).await?;
    let link = WorkerLink::open(stream, tls.farm_id()).await?;
    let facts = HostFacts {
        slots,
        resources: [("host.memory".to_owned(), MEMORY_MIB)].into(),
        ..HostFacts::default()
    };
    let attached = link.attach(facts, Vec::new()).await?;
    tokio::spawn(Host::new(link, attached, shared, orders).serve());
    Ok(())
}

/// Makes sure that there may be so many connections.
fn raise_open_files(hosts: u32) -> Result<(), WireError> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(hard)
    });
    let most = raised.map_err(|errno| io("raise the number of open files")(errno.into()))?;
    // A descriptor each, and some for all else.
    let needed = u64::from(hosts) + 256;
    match most >= needed {
        true => Ok(()),
        false => Err(WireError::Asked(format!(
            "{hosts} hosts need {needed} open files and {most} are allowed (ulimit -Hn)"
        ))),
    }
}
