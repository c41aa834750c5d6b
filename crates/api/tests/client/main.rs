//! The client against small servers: what it sends, what it makes of answers, and how it comes back over cut lines.

mod calls;
mod errors;
mod seal;
mod server;
mod streams;
mod tls;
