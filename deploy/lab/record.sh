#!/usr/bin/env bash
# Records the captures of real programs for the pool in decode/testdata/captures
# and writes their lines of MANIFEST.tsv.
#
#   deploy/lab/record.sh              all scenarios
#   deploy/lab/record.sh NAME...      these only
#   deploy/lab/record.sh -l           list them
#
# As root, on Debian 12. It makes a network of its own and takes it down again,
# also when interrupted; nothing leaves it, nothing else on the machine is
# touched:
#
#   DMZ client 10.66.20.20 -- router -- bridge -- 10.66.10.10 domain controller
#                                            |-- 10.66.10.30 internal client
#                                            `-- 10.66.10.40 and .41, port 1688:
#                                                a web server, a TLS server
#
# A scenario whose client is "dmz" is recorded at the router's DMZ side, one
# whose client is "internal" at the internal client's port of the bridge.
# Segmentation and checksum offload are off, so that frames are as on a wire.
# What a client says on its terminal goes to LOG, default: nowhere.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pool=$(cd "$here/../../decode/testdata/captures" && pwd)
log=${LOG:-/dev/null}

die() {
	echo "record.sh: $*" >&2
	exit 1
}

# The scenarios: name, client (dmz or internal), Debian package, what it shows,
# command. Commands run in the client's namespace, under 60 seconds each, their
# exit status is of no interest. $dc is the domain controller, $admin its
# administrator, $ex the folder of impacket's examples.
names=()
declare -A client package shows command
scenario() {
	names+=("$1")
	client[$1]=$2 package[$1]=$3 shows[$1]=$4 command[$1]=$5
}

dc=10.66.10.10
zone=corp.example.test
admin=Administrator
password='Lab.Passw0rd'
ex=/usr/share/doc/python3-impacket/examples

scenario real-dig-vlmcs dmz bind9-dnsutils \
	'dig asks for SRV _vlmcs._tcp over UDP from the DMZ; Samba answers with a compressed target' \
	"dig @$dc _vlmcs._tcp.$zone SRV"
scenario real-dig-vlmcs-tcp dmz bind9-dnsutils \
	'the same over TCP' \
	"dig @$dc +tcp _vlmcs._tcp.$zone SRV"
scenario real-dig-vlmcs-inside internal bind9-dnsutils \
	'the same over UDP from the internal zone' \
	"dig @$dc _vlmcs._tcp.$zone SRV"
scenario real-dig-dc dmz bind9-dnsutils \
	'dig asks for the SRV records of domain controllers from the DMZ' \
	"dig @$dc _ldap._tcp.dc._msdcs.$zone SRV _kerberos._tcp.$zone SRV _gc._tcp.$zone SRV"
scenario real-dig-dc-inside internal bind9-dnsutils \
	'the same from the internal zone' \
	"dig @$dc _ldap._tcp.dc._msdcs.$zone SRV"
scenario real-dig-nxdomain dmz bind9-dnsutils \
	'an SRV lookup of _vlmcs._tcp of a domain that is not there: NXDOMAIN' \
	"dig @$dc _vlmcs._tcp.nowhere.$zone SRV"
scenario real-dig-other dmz bind9-dnsutils \
	'lookups that are not about SRV: A, SOA, NS, ANY of the zone' \
	"dig @$dc dc1.$zone A $zone SOA $zone NS $zone ANY"
scenario real-nsupdate-refused dmz bind9-dnsutils \
	'nsupdate adds and deletes a _vlmcs record without a signature from the DMZ: refused' \
	"printf 'server $dc\nzone $zone\nupdate add _vlmcs._tcp.$zone 3600 SRV 0 0 1688 evil.$zone.\nsend\nupdate delete _vlmcs._tcp.$zone SRV\nsend\n' | nsupdate"
scenario real-nsupdate-signed internal bind9-dnsutils \
	'nsupdate -g: TKEY by Kerberos, then a signed add and a signed delete of a _vlmcs record: granted' \
	"echo '$password' | kinit $admin && printf 'server dc1.$zone\nzone $zone\nupdate add _vlmcs._tcp.$zone 3600 SRV 0 0 1688 kms2.$zone.\nsend\nupdate delete _vlmcs._tcp.$zone SRV 0 0 1688 kms2.$zone.\nsend\n' | nsupdate -g"
scenario real-rpcclient-anonymous dmz smbclient \
	'rpcclient over TCP without a name lists the users: endpoint mapper, then samr' \
	"rpcclient -U '' -N ncacn_ip_tcp:$dc -c 'enumdomusers;enumdomgroups;querydominfo'"
scenario real-rpcclient-anonymous-inside internal smbclient \
	'the same from the internal zone' \
	"rpcclient -U '' -N ncacn_ip_tcp:$dc -c enumdomusers"
scenario real-rpcclient-connect dmz smbclient \
	'rpcclient over TCP with a password, level connect' \
	"rpcclient -U '$admin%$password' 'ncacn_ip_tcp:${dc}[connect]' -c enumdomusers"
scenario real-rpcclient-sign dmz smbclient \
	'rpcclient over TCP with a password, level packet integrity' \
	"rpcclient -U '$admin%$password' 'ncacn_ip_tcp:${dc}[sign]' -c enumdomusers"
scenario real-rpcclient-seal dmz smbclient \
	'rpcclient over TCP with a password, level packet privacy' \
	"rpcclient -U '$admin%$password' 'ncacn_ip_tcp:${dc}[seal]' -c enumdomusers"
scenario real-rpcclient-kerberos internal smbclient \
	'rpcclient over TCP with Kerberos by SPNEGO, level packet privacy' \
	"echo '$password' | kinit $admin && rpcclient --use-kerberos=required 'ncacn_ip_tcp:dc1.${zone}[seal]' -c enumdomusers"
scenario real-rpcclient-wrong-password dmz smbclient \
	'rpcclient over TCP with a wrong password' \
	"rpcclient -U '$admin%wrong' 'ncacn_ip_tcp:${dc}[sign]' -c enumdomusers"
scenario real-rpcclient-denied dmz smbclient \
	'an anonymous lsarpc call over TCP, which the server denies by a fault' \
	"rpcclient -U '' -N ncacn_ip_tcp:$dc -c lsaquery"
scenario real-rpcclient-netlogon dmz smbclient \
	'rpcclient over TCP binds netlogon and asks for the domain controller: its server is one' \
	"rpcclient -U '' -N ncacn_ip_tcp:$dc -c 'dsr_getdcname corp;getanydcname corp'"
scenario real-rpcclient-drsuapi internal smbclient \
	'rpcclient over TCP binds drsuapi sealed and cracks a name: its server is a domain controller' \
	"rpcclient -U '$admin%$password' 'ncacn_ip_tcp:${dc}[seal]' -c 'dscracknames 1 2 CORP\\$admin;dsgetdcinfo CORP'"
scenario real-rpcdump dmz python3-impacket \
	'impacket rpcdump lists the endpoint mapper over TCP 135' \
	"/usr/bin/python3 $ex/rpcdump.py -port 135 $dc"
scenario real-rpcdump-inside internal python3-impacket \
	'the same from the internal zone' \
	"/usr/bin/python3 $ex/rpcdump.py -port 135 $dc"
scenario real-rpcmap-uuids dmz python3-impacket \
	'impacket rpcmap binds every interface it knows, a connection each: a sweep, cut at 600 frames' \
	"/usr/bin/python3 $ex/rpcmap.py -brute-uuids -auth-level 1 'ncacn_ip_tcp:${dc}[135]'"
scenario real-rpcmap-opnums dmz python3-impacket \
	'impacket rpcmap asks for the interfaces of port 135 and probes the operations of each, a connection a call' \
	"/usr/bin/python3 $ex/rpcmap.py -brute-opnums -opnum-max 12 -auth-level 1 'ncacn_ip_tcp:${dc}[135]'"
scenario real-bad-opnum dmz python3-impacket \
	'impacket calls opnum 999 of the endpoint mapper: a fault' \
	"/usr/bin/python3 -c \"
from impacket.dcerpc.v5 import transport, epm
d = transport.DCERPCTransportFactory('ncacn_ip_tcp:${dc}[135]').get_dce_rpc()
d.connect(); d.bind(epm.MSRPC_UUID_PORTMAP); d.call(999, b'')
d.recv()\""
scenario real-alter-context dmz python3-impacket \
	'impacket binds the endpoint mapper, then adds the management interface by alter_context, and calls both' \
	"/usr/bin/python3 -c \"
from impacket.dcerpc.v5 import transport, epm, mgmt
d = transport.DCERPCTransportFactory('ncacn_ip_tcp:${dc}[135]').get_dce_rpc()
d.connect(); d.bind(epm.MSRPC_UUID_PORTMAP)
e = d.alter_ctx(mgmt.MSRPC_UUID_MGMT)
mgmt.hinq_if_ids(e)
d.call(4, bytes(20)); d.recv()\""
scenario real-second-bind dmz python3-impacket \
	'trap 7: impacket binds a second time on one association, after an alter_context: what Samba makes of it' \
	"/usr/bin/python3 -c \"
from impacket.dcerpc.v5 import transport, epm, mgmt
d = transport.DCERPCTransportFactory('ncacn_ip_tcp:${dc}[135]').get_dce_rpc()
d.connect(); d.bind(epm.MSRPC_UUID_PORTMAP)
mgmt.hinq_if_ids(d.alter_ctx(mgmt.MSRPC_UUID_MGMT))
d.bind(epm.MSRPC_UUID_PORTMAP)\""
scenario real-fragmented-request dmz python3-impacket \
	'impacket sends an endpoint mapper lookup in fragments of 16 stub bytes' \
	"/usr/bin/python3 -c \"
from impacket.dcerpc.v5 import transport, epm
from impacket.dcerpc.v5.dtypes import NULL
d = transport.DCERPCTransportFactory('ncacn_ip_tcp:${dc}[135]').get_dce_rpc()
d.set_max_fragment_size(16)
d.connect(); d.bind(epm.MSRPC_UUID_PORTMAP)
r = epm.ept_lookup()
for k, v in dict(inquiry_type=0, object=NULL, Ifid=NULL, vers_option=1, entry_handle=epm.ept_lookup_handle_t(), max_ents=500).items(): r[k] = v
d.request(r)\""
scenario real-drsuapi-replicate dmz smbclient \
	'rpcclient over TCP replicates one account by drsuapi, sealed, from the DMZ' \
	"rpcclient -U '$admin%$password' 'ncacn_ip_tcp:${dc}[seal]' -c 'dsgetncchanges CN=krbtgt,CN=Users,DC=corp,DC=example,DC=test single'"
scenario real-nmap-version dmz nmap \
	'nmap finds out the service on 135 by its probes' \
	"nmap -Pn -n -sT -sV -p 135 $dc"
scenario real-nmap-scan dmz nmap \
	'nmap tells open from closed ports on 135, 1688 and four more: handshakes without data' \
	"nmap -Pn -n -sT -p 53,88,135,389,1688,3268 $dc"
scenario real-kms-port-http dmz curl \
	'curl asks a web server on port 1688' \
	'curl -s http://10.66.10.40:1688/'
scenario real-kms-port-tls dmz openssl \
	'openssl s_client on port 1688 of a host that speaks TLS there' \
	'openssl s_client -connect 10.66.10.41:1688 </dev/null'
scenario real-kms-port-nmap dmz nmap \
	'nmap probes the web server on port 1688 for its service' \
	'nmap -Pn -n -sT -sV --version-intensity 5 -p 1688 10.66.10.40'
scenario real-kms-port-http-inside internal curl \
	'curl asks the web server on port 1688 from the internal zone' \
	'curl -s http://10.66.10.40:1688/'
scenario real-kinit dmz krb5-user \
	'kinit: Kerberos, nothing that is told today' \
	"echo '$password' | kinit $admin"
scenario real-ldapsearch dmz ldap-utils \
	'ldapsearch of the root DSE without a name: nothing that is told today' \
	"ldapsearch -x -H ldap://$dc -s base -b ''"

if [[ ${1-} == -l ]]; then
	for n in "${names[@]}"; do
		printf '%-32s %-9s %s\n' "$n" "${client[$n]}" "${shows[$n]}"
	done
	exit 0
fi
wanted=("$@")
[[ $# -gt 0 ]] || wanted=("${names[@]}")
for n in "${wanted[@]}"; do
	[[ -v "client[$n]" ]] || die "no scenario $n; record.sh -l lists them"
done

[[ $(id -u) == 0 ]] || die "it needs root, for network namespaces"
missing=()
for p in samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind smbclient \
	samba-common-bin python3-samba krb5-user ldap-utils bind9-dnsutils python3-impacket nmap tcpdump \
	tshark iproute2 ethtool curl openssl; do
	[[ $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) == *' installed' ]] || missing+=("$p")
done
[[ ${#missing[@]} == 0 ]] || die "missing packages: apt-get install --no-install-recommends ${missing[*]}"

# Namespaces, with names of their own.
tag=kwlab$$
ns_dc=$tag-dc ns_internal=$tag-in ns_dmz=$tag-dmz ns_router=$tag-rtr ns_web=$tag-web
dir=$(mktemp -d "${TMPDIR:-/tmp}/kwlab.XXXXXX")
chmod 711 "$dir" # smbd serves pipes as the user of the session
recorder=

cleanup() {
	trap - EXIT
	set +e # all of it, whatever fails
	local ns pids
	for ns in "$ns_dc" "$ns_internal" "$ns_dmz" "$ns_router" "$ns_web"; do
		# All processes in a namespace of ours are ours.
		for _ in 1 2 3; do
			pids=$(ip netns pids "$ns" 2>/dev/null) || break
			[[ -n $pids ]] || break
			# shellcheck disable=SC2086
			kill -KILL $pids 2>/dev/null || true
			sleep 0.2
		done
		ip netns del "$ns" 2>/dev/null || true
		rm -rf "/etc/netns/$ns"
	done
	rmdir /etc/netns 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

in_ns() {
	local ns=$1
	shift
	ip netns exec "$ns" "$@"
}

# plug NS IF ADDRESS: a cable from a namespace to a port of the router.
plug() {
	ip link add "$2" netns "$1" type veth peer name "to-$2" netns "$ns_router"
	[[ -z $3 ]] || ip -n "$1" addr add "$3" dev "$2"
	in_ns "$1" ethtool -K "$2" tx off sg off tso off gso off gro off >/dev/null
	in_ns "$ns_router" ethtool -K "to-$2" tx off sg off tso off gso off gro off >/dev/null
	ip -n "$1" link set "$2" up
	ip -n "$ns_router" link set "to-$2" up
}

for ns in "$ns_dc" "$ns_internal" "$ns_dmz" "$ns_router" "$ns_web"; do
	ip netns add "$ns"
	in_ns "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip -n "$ns" link set lo up
	mkdir -p "/etc/netns/$ns"
	printf 'search %s\nnameserver %s\n' "$zone" "$dc" >"/etc/netns/$ns/resolv.conf"
done
plug "$ns_dc" vdc $dc/24
plug "$ns_internal" vin 10.66.10.30/24
plug "$ns_dmz" vdmz 10.66.20.20/24
plug "$ns_web" vweb 10.66.10.40/24
ip -n "$ns_web" addr add 10.66.10.41/24 dev vweb
ip -n "$ns_router" link add br-int type bridge
ip -n "$ns_router" link set to-vdc master br-int
ip -n "$ns_router" link set to-vin master br-int
ip -n "$ns_router" link set to-vweb master br-int
ip -n "$ns_router" addr add 10.66.10.1/24 dev br-int
ip -n "$ns_router" addr add 10.66.20.1/24 dev to-vdmz
ip -n "$ns_router" link set br-int up
in_ns "$ns_router" sysctl -qw net.ipv4.ip_forward=1
ip -n "$ns_dc" route add default via 10.66.10.1
ip -n "$ns_internal" route add default via 10.66.10.1
ip -n "$ns_web" route add default via 10.66.10.1
ip -n "$ns_dmz" route add default via 10.66.20.1

# The domain controller. Everything it writes lies in $dir.
echo "record.sh: provisioning the domain controller" >&2
echo '[global]' >"$dir/empty.conf" # in the place of the machine's own smb.conf
in_ns "$ns_dc" samba-tool domain provision --use-rfc2307 --realm=CORP.EXAMPLE.TEST --domain=CORP \
	--server-role=dc --dns-backend=SAMBA_INTERNAL "--adminpass=$password" --host-ip=$dc --host-name=dc1 \
	-s "$dir/empty.conf" --targetdir="$dir/dc" --option="interfaces=lo vdc" --option="bind interfaces only=yes" \
	>"$dir/provision.log" 2>&1 || { cat "$dir/provision.log" >&2; die "provision failed"; }
conf=$dir/dc/etc/smb.conf
mkdir -p "$dir/run/ncalrpc" "$dir/run/winbindd"
sed -i "s#^\[global\]#[global]\n\tpid directory = $dir/run\n\tncalrpc dir = $dir/run/ncalrpc\n\twinbindd socket directory = $dir/run/winbindd\n\tlog file = $dir/log.%m\n\tdns update command = /bin/true\n\tspn update command = /bin/true\n\tkccsrv:periodic_startup_interval = 3600#" "$conf"
cat >"$dir/client.conf" <<CONF
[global]
	workgroup = CORP
	realm = CORP.EXAMPLE.TEST
	pid directory = $dir/run
	lock directory = $dir/client
	state directory = $dir/client
	cache directory = $dir/client
	private dir = $dir/client
CONF
mkdir -p "$dir/client"
cat >"$dir/krb5.conf" <<CONF
[libdefaults]
	default_realm = CORP.EXAMPLE.TEST
	dns_lookup_kdc = false
	dns_lookup_realm = false
	rdns = false
[realms]
	CORP.EXAMPLE.TEST = {
		kdc = $dc
	}
[domain_realm]
	.$zone = CORP.EXAMPLE.TEST
CONF
in_ns "$ns_dc" timeout -k 5 1800 samba -s "$conf" -i -M single --debug-stdout </dev/null >"$dir/samba.log" 2>&1 &

# Servers of other protocols on the KMS port.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/key.pem" -out "$dir/cert.pem" -days 1 -subj /CN=kms.$zone 2>/dev/null
mkdir "$dir/www" && echo 'not a KMS host' >"$dir/www/index.html"
in_ns "$ns_web" timeout 1800 /usr/bin/python3 -m http.server 1688 --bind 10.66.10.40 --directory "$dir/www" </dev/null >/dev/null 2>&1 &
in_ns "$ns_web" timeout 1800 openssl s_server -accept 10.66.10.41:1688 -key "$dir/key.pem" -cert "$dir/cert.pem" -quiet </dev/null >/dev/null 2>&1 &

# Ready when every service answers that a scenario asks.
for i in {1..60}; do
	open=$(in_ns "$ns_dc" ss -Htln | awk '{print $4}' | sort -u)
	ready=yes
	for p in 53 88 135 389 445; do
		[[ $open == *"$dc:$p"* ]] || ready=
	done
	[[ -z $ready ]] || break
	sleep 1
	[[ $i != 60 ]] || { tail -5 "$dir/samba.log" >&2; die "the domain controller does not answer"; }
done
in_ns "$ns_dc" samba-tool dns add $dc $zone _vlmcs._tcp SRV "dc1.$zone 1688 0 0" -U "$admin%$password" -s "$conf" \
	>"$dir/dns.log" 2>&1 || { cat "$dir/dns.log" >&2; die "no SRV record"; }

# note NAME FILE: the line of MANIFEST.tsv, in the place of the old one.
note() {
	local name=$1.pcap sum version
	sum=$(sha256sum "$pool/$name" | cut -d' ' -f1)
	version=$(dpkg-query -W -f '${Package} ${Version}' "${package[$1]}")
	{
		head -n 1 "$pool/MANIFEST.tsv"
		{
			tail -n +2 "$pool/MANIFEST.tsv" | awk -F '\t' -v n="$name" '$1 != n'
			printf '%s\t%s\t%s\trecorded\t%s\t%s\t-\tApache-2.0\n' "$name" "$sum" "${shows[$1]}" "$version" \
				"$(tr '\n' ' ' <<<"${command[$1]//\\n/; }" | sed 's/ *$//')"
		} | sort -t $'\t' -k 1,1
	} >"$dir/manifest"
	cat "$dir/manifest" >"$pool/MANIFEST.tsv"
}

# record NAME: one scenario. Frames of SMB are left out until they are decoded.
record() {
	local ns=$ns_dmz at=to-vdmz
	[[ ${client[$1]} == dmz ]] || ns=$ns_internal at=to-vin
	rm -f "$dir/ccache"
	: >"$dir/tcpdump.log"
	# -Z root: the file lies where only root may write.
	ip netns exec "$ns_router" timeout 90 tcpdump -Z root -n --immediate-mode -U -i "$at" -c 600 -w "$dir/$1.pcap" \
		'ip and not (tcp port 445 or tcp port 139)' 2>"$dir/tcpdump.log" &
	recorder=$!
	for _ in {1..50}; do
		grep -q 'listening on' "$dir/tcpdump.log" && break
		sleep 0.1
	done
	SMB_CONF_PATH=$dir/client.conf KRB5_CONFIG=$dir/krb5.conf KRB5CCNAME=$dir/ccache HOME=$dir \
		ip netns exec "$ns" timeout -k 2 60 bash -c "${command[$1]}" </dev/null >>"$log" 2>&1 || true
	sleep 1
	kill -INT "$recorder" 2>/dev/null || true
	wait "$recorder" 2>/dev/null || true
	recorder=
	[[ $(stat -c %s "$dir/$1.pcap") -gt 24 ]] || { cat "$dir/tcpdump.log" >&2; die "$1: nothing was recorded"; }
	cat "$dir/$1.pcap" >"$pool/$1.pcap"
	note "$1"
}

for n in "${wanted[@]}"; do
	echo "record.sh: $n" >&2
	echo "== $n: ${command[$n]}" >>"$log"
	record "$n"
done
files=("${wanted[@]/%/.pcap}")
"$here/tshark.sh" "${files[@]}"
