//! The response to a request: the part of the OCI distribution specification that reads.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::contents::{Content, Contents, Denied, ManifestReference, Page, Visit};
use crate::range::{Wanted, wanted};
use crate::request::{Request, list};
use crate::response::{Body, JSON, Parts, Response, content_range};
use strata_http::percent_encode;
use strata_oci::{Digest, Index, media_type};

/// What is said of blobs, as other registries do: the manifest knows better.
const OCTETS: &str = "application/octet-stream";

/// The response to a request.
pub(crate) fn respond<'a>(contents: &'a dyn Contents, request: &Request) -> Response<'a> {
    let response = find(contents, request).unwrap_or_else(|error| error);
    response.with("Docker-Distribution-API-Version", "registry/2.0")
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Route<'r> {
    Base,
    Names,
    Tags(&'r str),
    Manifest(&'r str, &'r str),
    Blob(&'r str, &'r str),
    Referrers(&'r str, &'r str),
}

/// The route of a path ("Endpoints"). A name can have slashes in it, so that it is read from the end.
fn route(path: &str) -> Option<Route<'_>> {
    if path == "/v2" {
        return Some(Route::Base);
    }
    let path = path.strip_prefix("/v2/")?;
    match path {
        "" => return Some(Route::Base),
        "_catalog" => return Some(Route::Names),
        _ => {}
    }
    let (before, last) = path.rsplit_once('/')?;
    let (name, kind) = before.rsplit_once('/')?;
    match kind {
        "tags" if last == "list" => Some(Route::Tags(name)),
        "manifests" => Some(Route::Manifest(name, last)),
        "blobs" => Some(Route::Blob(name, last)),
        "referrers" => Some(Route::Referrers(name, last)),
        _ => None,
    }
}

fn find<'a>(contents: &'a dyn Contents, request: &Request) -> Result<Response<'a>, Response<'a>> {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let visit = Visit {
        path: &request.path,
        query: &request.query,
        host: header("host"),
        authorization: header("authorization"),
    };
    contents.admit(&visit)?;
    let route = route(&request.path);
    let is_below = request.path.starts_with("/v2/");
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    // Before the method, because the conformance tests for pulling put a manifest under such a name.
    let digest = match route {
        Some(Route::Blob(_, digest) | Route::Referrers(_, digest)) => Some(parse_digest(digest)?),
        Some(Route::Manifest(_, reference)) if reference.contains(':') => {
            Some(parse_digest(reference)?)
        }
        _ => None,
    };
    if !is_read && (is_below || route.is_some()) {
        let message = "this registry is read-only";
        let error = Response::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message);
        return Err(error.with("Allow", "GET, HEAD"));
    }
    if request.has_body() {
        let message = "a request to read has no body";
        return Err(Response::error(
            StatusCode::BAD_REQUEST,
            "UNSUPPORTED",
            message,
        ));
    }
    let last = request.query.get("last").map(String::as_str);
    match route {
        Some(Route::Base) => Ok(Response::json(JSON, &json!({}))),
        Some(Route::Names) => page(
            request,
            "/v2/_catalog",
            contents.names(last),
            |names| json!({ "repositories": names }),
        ),
        Some(Route::Tags(name)) => {
            let tags = contents.tags(name, last)?;
            page(
                request,
                &format!("/v2/{name}/tags/list"),
                tags,
                |tags| json!({ "name": name, "tags": tags }),
            )
        }
        Some(Route::Manifest(name, reference)) => {
            let reference = match digest {
                Some(Some(digest)) => ManifestReference::Digest(digest),
                Some(None) => return Err(unknown_algorithm("MANIFEST_UNKNOWN")),
                None => ManifestReference::Tag(reference),
            };
            manifest(request, contents.manifest(name, reference)?)
        }
        Some(Route::Blob(name, _)) => match digest.flatten() {
            Some(digest) => Ok(content(request, contents.blob(name, digest)?, OCTETS)),
            None => Err(unknown_algorithm("BLOB_UNKNOWN")),
        },
        Some(Route::Referrers(name, _)) => {
            contents.check(name)?;
            let response = Response::json(media_type::INDEX, &json!(Index::new(Vec::new())));
            Ok(match request.query.get("artifactType") {
                Some(_) => response.with("OCI-Filters-Applied", "artifactType"),
                None => response,
            })
        }
        None => {
            let is_page = is_read && !is_below;
            let page = is_page.then(|| contents.page(&visit)).flatten();
            let error = || Response::not_found("UNSUPPORTED", "there is nothing here");
            page.map(Response::from).ok_or_else(error)
        }
    }
}

fn unknown_algorithm<'a>(code: &str) -> Response<'a> {
    Response::not_found(code, "nothing has a digest of this algorithm")
}

/// A digest; nothing if its algorithm is none of ours, because then nobody has that blob.
fn parse_digest<'a>(text: &str) -> Result<Option<Digest>, Response<'a>> {
    if let Ok(digest) = text.parse() {
        return Ok(Some(digest));
    }
    let is_word = |text: &str, others: &str| {
        let known = |one: char| one.is_ascii_alphanumeric() || others.contains(one);
        !text.is_empty() && text.chars().all(known)
    };
    match text.split_once(':') {
        Some((algorithm, encoded))
            if algorithm != "sha256" && is_word(algorithm, "+._-") && is_word(encoded, "=_-") =>
        {
            Ok(None)
        }
        _ => Err(Response::error(
            StatusCode::BAD_REQUEST,
            "DIGEST_INVALID",
            "this is not a digest",
        )),
    }
}

fn manifest<'a>(request: &Request, manifest: Content<'a>) -> Result<Response<'a>, Response<'a>> {
    let media_type = manifest.descriptor().media_type.clone();
    if !accepts(request.headers.get("accept"), &media_type) {
        // As docker-registry does, so that clients that ask for one type after another go on.
        let message = format!("the manifest is there, and Accept does not list {media_type}");
        return Err(Response::not_found("MANIFEST_UNKNOWN", &message).with("Vary", "Accept"));
    }
    Ok(content(request, manifest, &media_type).with("Vary", "Accept"))
}

/// Whether an `Accept` header (RFC 9110, section 12.5.1) takes a type: by the most precise element
/// about it. Without a header, anything is welcome.
fn accepts(accept: Option<&String>, media_type: &str) -> bool {
    let Some(accept) = accept else {
        return true;
    };
    let group = media_type.split_once('/').map_or("", |(group, _)| group);
    let ranges: BTreeMap<String, bool> = list(accept)
        .map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default().to_ascii_lowercase();
            let is_nothing = |weight: &str| {
                let weight = weight.trim_start_matches("q=").trim_start_matches("Q=");
                weight.parse() == Ok(0.0_f32)
            };
            (range, !parts.any(is_nothing))
        })
        .collect();
    let about = [media_type, &format!("{group}/*"), "*/*"].map(|range| ranges.get(range));
    about.into_iter().flatten().next().copied().unwrap_or(false)
}

/// A blob or a manifest, or the part of it that was asked for, or that it is still the same.
fn content<'a>(request: &Request, blob: Content<'a>, content_type: &str) -> Response<'a> {
    let descriptor = blob.descriptor().clone();
    let digest = descriptor.digest.to_string();
    let tag = format!("\"{digest}\"");
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let base = vec![
        ("Docker-Content-Digest", digest),
        ("ETag", tag.clone()),
        // By tag, another image may be there the next time.
        ("Cache-Control", "no-cache".to_owned()),
    ];
    let response = |status, body| Response {
        status,
        headers: base,
        body,
    };
    let weak = |known: &str| known.trim_start_matches("W/") == tag;
    if header("if-none-match").is_some_and(|known| list(known).any(|one| one == "*" || weak(one))) {
        return response(StatusCode::NOT_MODIFIED, Body::Bytes(Vec::new()));
    }
    let same = header("if-range").is_none_or(|known| known == tag);
    let wanted = match header("range") {
        Some(range) if same && request.method == Method::GET => wanted(range, descriptor.size),
        _ => Wanted::Whole,
    };
    let (size, blob) = (descriptor.size, Box::new(blob));
    match wanted {
        Wanted::Whole => response(StatusCode::OK, Body::Content(blob, Parts::one(0..size))),
        Wanted::Part(part) => {
            let range = content_range(&part, size);
            response(
                StatusCode::PARTIAL_CONTENT,
                Body::Content(blob, Parts::one(part)),
            )
            .with("Content-Range", range)
        }
        Wanted::Parts(ranges) => {
            // No blob has its own digest in it.
            let boundary = descriptor.digest.hex();
            let parts = Parts::several(ranges, size, content_type, &boundary);
            let content_type = format!("multipart/byteranges; boundary={boundary}");
            return response(StatusCode::PARTIAL_CONTENT, Body::Content(blob, parts))
                .with("Content-Type", content_type)
                .with("Accept-Ranges", "bytes");
        }
        Wanted::Unsatisfiable => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let error = Response::error(status, "RANGE_INVALID", "the blob has no such bytes");
            return error.with("Content-Range", format!("bytes */{size}"));
        }
    }
    .with("Content-Type", content_type)
    .with("Accept-Ranges", "bytes")
}

/// A page of a list ("Listing Tags"): at most `n` of what is behind `last`.
fn page<'a>(
    request: &Request,
    path: &str,
    mut entries: Vec<String>,
    form: impl FnOnce(&[String]) -> Value,
) -> Result<Response<'a>, Response<'a>> {
    let most = match request.query.get("n").map(|most| most.parse::<usize>()) {
        None => usize::MAX,
        Some(Ok(most)) => most,
        Some(Err(_)) => {
            let status = StatusCode::BAD_REQUEST;
            let message = "n is not a number of entries";
            return Err(Response::error(
                status,
                "PAGINATION_NUMBER_INVALID",
                message,
            ));
        }
    };
    let are_more = entries.len() > most;
    entries.truncate(most);
    let response = Response::json(JSON, &form(&entries));
    Ok(match entries.last() {
        Some(last) if are_more => {
            let next = format!(
                "<{path}?n={most}&last={}>; rel=\"next\"",
                percent_encode(last)
            );
            response.with("Link", next)
        }
        _ => response,
    })
}

impl From<Page> for Response<'_> {
    fn from(page: Page) -> Self {
        let mut headers = page.headers;
        headers.push(("Content-Type", page.content_type.to_owned()));
        Self {
            status: page.status,
            headers,
            body: Body::Bytes(page.body),
        }
    }
}

impl From<Denied> for Response<'_> {
    fn from(denied: Denied) -> Self {
        let response = Self::error(denied.status, denied.code, &denied.message);
        match denied.header {
            Some((name, value)) => response.with(name, value),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_look_like_paths() {
        for (path, expected) in [
            ("/v2/", Some(Route::Base)),
            ("/v2", Some(Route::Base)),
            ("/v2/_catalog", Some(Route::Names)),
            ("/v2/a/tags/list", Some(Route::Tags("a"))),
            (
                "/v2/a/manifests/b/manifests/c",
                Some(Route::Manifest("a/manifests/b", "c")),
            ),
            ("/v2/tags/list/blobs/x", Some(Route::Blob("tags/list", "x"))),
            ("/v2/a/b/referrers/x", Some(Route::Referrers("a/b", "x"))),
            ("/v2/a/blobs/uploads/", None),
            ("/v2/manifests/x", None),
            ("/v1/a/tags/list", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_accepted_is_negotiated() {
        let manifest = media_type::MANIFEST;
        for (accept, taken) in [
            (manifest.to_owned(), true),
            (format!("a/b, {}", manifest.to_uppercase()), true),
            (format!("{manifest};q=0.1"), true),
            (format!("a/b;charset=x, {manifest} ; q=0.5"), true),
            ("*/*".to_owned(), true),
            ("application/*;q=0.2, a/b".to_owned(), true),
            (format!("*/*, {manifest};q=0"), false),
            (format!("{manifest}; q=0.000"), false),
            (
                "application/vnd.docker.distribution.manifest.v2+json".to_owned(),
                false,
            ),
            (String::new(), false),
        ] {
            assert_eq!(accepts(Some(&accept), manifest), taken, "{accept}");
        }
        assert!(accepts(None, manifest));
    }

    #[test]
    fn digests_of_others_are_digests() {
        assert!(parse_digest("sha512:abc").unwrap_or_default().is_none());
        let ours = Digest::of(b"").to_string();
        assert!(parse_digest(&ours).is_ok_and(|digest| digest.is_some()));
        for text in [
            "",
            "x",
            ":",
            "sha256:",
            "sha256:totallywrong",
            "a:b:c",
            "sha512:",
            "a b:c",
        ] {
            let status = parse_digest(text).err().map(|response| response.status);
            assert_eq!(status, Some(StatusCode::BAD_REQUEST), "{text}");
        }
    }
}
