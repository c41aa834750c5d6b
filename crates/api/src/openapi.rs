//! The OpenAPI document.

use crate::paths;
use crate::types;
use utoipa::OpenApi;

/// The document, built from the types and [`crate::paths`].
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Tessera",
        description = "The API of a Tessera render farm. Times are milliseconds since 1970-01-01 UTC in fields that end in `_ms`; lengths of time too. Items and instances are counted from 0. What is not known or does not apply is left out. New fields may be added to answers at any time; unknown fields in requests are refused.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    servers((url = "/api/v1")),
    paths(
        paths::health, paths::openapi, paths::info,
        paths::submit, paths::jobs, paths::job, paths::modify, paths::resubmit, paths::items, paths::item_states, paths::attempts, paths::item_why, paths::log,
        paths::history, paths::why, paths::deps, paths::act, paths::errors,
        paths::hosts, paths::host, paths::remove_host, paths::lock_host, paths::lock_host_calendar, paths::lock_host_while_active, paths::unlock_host, paths::host_why,
        paths::host_settings, paths::reconfigure, paths::worker_file, paths::check_worker_file, paths::set_worker_file, paths::timeline,
        paths::modes, paths::set_mode, paths::unset_mode,
        paths::events,
        paths::tokens, paths::create_token, paths::revoke_token, paths::create_join_token, paths::join,
        paths::begin_session, paths::end_session, paths::create_session_link,
        paths::credentials, paths::seal_offer, paths::register_credential, paths::check_credential,
        paths::revoke_credential,
        paths::usage, paths::trends, paths::audit, paths::cleanup,
        paths::channels, paths::notify_reload, paths::notify_test, paths::wishes, paths::set_wishes,
        paths::site, paths::site_reload,
        paths::resources, paths::set_resource, paths::remove_resource,
    ),
    components(schemas(types::Event, types::Resync, crate::query::LogStream)),
    modifiers(&Security, &Descriptions),
    tags(
        (name = "farm", description = "The farm itself"),
        (name = "jobs", description = "Jobs, their items and output"),
        (name = "hosts", description = "Hosts"),
        (name = "access", description = "Tokens, registered passwords, and hosts that join"),
    )
)]
struct Document;

/// Says how callers prove who they are.
struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{
            Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        };
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
        let no_scopes: [&str; 0] = [];
        document.security = Some(vec![SecurityRequirement::new("token", no_scopes)]);
        document.info.version = format!("v{}", crate::API_VERSION);
    }
}

/// Describes answers by their status, as OpenAPI wants every answer described.
struct Descriptions;

impl utoipa::Modify for Descriptions {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::RefOr;
        let items = document.paths.paths.values_mut();
        let operations = items.flat_map(|item| {
            let methods = [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            methods.into_iter().flatten()
        });
        for (status, response) in
            operations.flat_map(|operation| &mut operation.responses.responses)
        {
            if let RefOr::T(response) = response
                && response.description.is_empty()
            {
                response.description = describe(status).to_owned();
            }
        }
    }
}

fn describe(status: &str) -> &'static str {
    match status {
        "201" => "Made.",
        "204" => "Done; there is nothing to say.",
        _ => "What was asked for.",
    }
}

/// Prints the document as JSON, with a line end.
///
/// # Panics
/// Never: the document has only texts as keys.
#[must_use]
pub fn generate() -> String {
    let mut text = Document::openapi()
        .to_pretty_json()
        .expect("a document of texts is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Answers method and path of every endpoint.
    fn endpoints(document: &serde_json::Value) -> Vec<String> {
        let paths = document["paths"].as_object().expect("paths");
        let methods = |(path, item): (&String, &serde_json::Value)| {
            let item = item.as_object().expect("methods");
            item.keys()
                .map(|method| format!("{method} {path}"))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(methods).collect()
    }

    #[test]
    fn the_openapi_document_in_docs_is_what_the_code_makes() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let made = generate();
        if std::env::var_os("TESSERA_UPDATE").is_some_and(|value| value == "1") {
            std::fs::write(&file, &made).expect("docs can be written");
        }
        let kept = std::fs::read_to_string(&file).expect("docs/openapi.json");
        let same = kept == made;
        assert!(
            same,
            "docs/openapi.json is stale: run this test with TESSERA_UPDATE=1 and look at the change"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = generate();
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let schemas = document["components"]["schemas"]
            .as_object()
            .expect("schemas");
        let mut references = 0;
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(schemas.contains_key(name), "{name} is not described");
            references += 1;
        }
        assert!(references > 50, "only {references} references");
    }

    #[test]
    fn every_endpoint_is_described_once() {
        let document: serde_json::Value = serde_json::from_str(&generate()).expect("JSON");
        let found = endpoints(&document);
        assert_eq!(found.len(), 63, "{found:#?}");
        for endpoint in &found {
            let (method, path) = endpoint.split_once(' ').expect("two words");
            let operation = &document["paths"][path][method];
            assert!(
                operation["summary"].is_string(),
                "{endpoint} has no summary"
            );
            assert!(
                operation["operationId"].is_string(),
                "{endpoint} has no name"
            );
            for (status, response) in operation["responses"].as_object().expect("responses") {
                assert_ne!(response["description"], "", "{endpoint} {status}");
                assert!(response["description"].is_string(), "{endpoint} {status}");
            }
        }
    }
}
