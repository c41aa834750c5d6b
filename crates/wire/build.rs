//! Compiles the protocol in pure Rust; no `protoc` is needed on any machine.

use std::error::Error;

const PROTO: &str = "proto/tessera/worker/v1/worker.proto";
/// Kinds that would make every small message as large as they are, in memory.
const BOXED: [&str; 7] = [
    "FromWorker.kind.hello",
    "FromWorker.kind.report",
    "ToWorker.kind.start",
    "ToWorker.kind.credential",
    "ToWorker.kind.reseal",
    "FromWorker.kind.credential_checked",
    "FromWorker.kind.resealed",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    let mut builder = tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".");
    for large in BOXED {
        builder = builder.boxed(format!(".tessera.worker.v1.{large}"));
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}
