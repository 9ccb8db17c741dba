package main

import (
	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/ecs"
	"kmswatch/alerts/eve"
	"kmswatch/alerts/ocsf"
)

// format is a way to write an alert for machines: a JSON object, to which no line
// break is added.
type format struct {
	name   string
	encode func([]byte, *alerts.Alert) []byte
}

// formats gives those there are. To add one: a line here.
func formats() []format {
	version := buildVersion()
	asOCSF := ocsf.Encoder{Version: version}.AppendJSON
	return []format{
		{"ndjson", asOCSF},
		{"ocsf", asOCSF},
		{"eve", eve.Encoder{Version: version}.AppendJSON},
		{"ecs", ecs.Encoder{Version: version}.AppendJSON},
	}
}

// formatNames gives their names.
func formatNames() (names []string) {
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// formatFlag is a flag for one of them, or for text for a person.
func formatFlag() oneOf {
	return oneOf{value: config.FormatConsole, words: append([]string{config.FormatConsole}, formatNames()...)}
}

// formatHelp is what the flag is for.
const formatHelp = "console; or, one JSON object a line, ocsf or ndjson: OCSF Detection Findings; eve: as Suricata; ecs: as Elastic"

// encoder gives the encoder of a format, that of the first without a name.
func encoder(name string) func([]byte, *alerts.Alert) []byte {
	all := formats()
	for _, f := range all {
		if f.name == name {
			return f.encode
		}
	}
	return all[0].encode
}
