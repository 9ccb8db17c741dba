#!/usr/bin/env bash
# Fills the column "tshark" of the pool's MANIFEST.tsv: what tshark makes of each
# capture, as a second opinion. Frames, the PDU types of DCE/RPC, DNS messages,
# frames it calls malformed.
#
#   deploy/lab/tshark.sh [NAME.pcap...]     all captures without a name
#
# Two passes, out-of-order segments put in order, KMS ports decoded as DCE/RPC.
set -euo pipefail
export LC_ALL=C

pool=$(cd "$(dirname "$0")/../../decode/testdata/captures" && pwd)
command -v tshark >/dev/null || { echo "tshark.sh: no tshark: apt-get install tshark" >&2; exit 1; }

# opinion FILE: one line without tabs.
opinion() {
	tshark -2 -n -r "$1" -o tcp.reassemble_out_of_order:TRUE \
		-d tcp.port==1688,dcerpc -d tcp.port==11688,dcerpc -d tcp.port==49668,dcerpc \
		-T fields -E separator=/t -e dcerpc.pkt_type -e dns.id -e _ws.malformed 2>/dev/null |
		awk -F '\t' '
			BEGIN {
				split("request ping response fault working nocall reject ack cl_cancel fack cancel_ack bind bind_ack bind_nak alter_context alter_context_resp auth3 shutdown co_cancel orphaned", names, " ")
			}
			{
				frames++
				n = $1 == "" ? 0 : split($1, t, ",")
				for (i = 1; i <= n; i++) count[t[i] + 1]++
				dns += $2 == "" ? 0 : split($2, t, ",")
				malformed += $3 != ""
			}
			END {
				printf "%d frames", frames
				for (i = 1; i <= 20; i++) if (count[i]) printf ", %d %s", count[i], names[i]
				if (dns) printf ", %d dns", dns
				if (malformed) printf ", %d malformed", malformed
			}' || true
}

only=" $* "
new=$(mktemp)
trap 'rm -f "$new"' EXIT
while IFS= read -r line; do
	IFS=$'\t' read -r -a f <<<"${line//$'\t\t'/$'\t-\t'}"
	name=${f[0]}
	if [[ $name != name && ($# -eq 0 || $only == *" $name "*) ]]; then
		f[6]=$(opinion "$pool/$name")
	fi
	(IFS=$'\t'; printf '%s\n' "${f[*]}")
done <"$pool/MANIFEST.tsv" >"$new"
cat "$new" >"$pool/MANIFEST.tsv"
