//! The API's own description.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Kept as a file of its own, so that people can read it without a node; a test compares it with
/// the routes.
const DOCUMENT: &str = include_str!("../../openapi.json");

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_route_is_described() {
        let document: serde_json::Value = serde_json::from_str(super::DOCUMENT).unwrap();
        let described: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        let source = include_str!("../api.rs");
        let routes: Vec<&str> = source
            .lines()
            .filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next())
            .collect();
        assert!(routes.len() > 20);
        for route in &routes {
            assert!(described.iter().any(|path| path == route), "{route} is not described");
        }
        assert_eq!(described.len(), routes.len(), "something is described that does not exist");
    }
}
