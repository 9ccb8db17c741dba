package ocsf

import _ "embed"

// Schema is a JSON Schema (draft 2020-12) of what AppendJSON writes.
//
//go:embed alert.schema.json
var Schema string
