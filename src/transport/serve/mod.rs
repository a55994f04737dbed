//! A read-only registry (OCI distribution specification) whose blobs are made while they are sent.
