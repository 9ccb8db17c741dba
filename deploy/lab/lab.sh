# shellcheck shell=bash
# A small Windows-like network in namespaces of this machine, for scripts that
# source it: record.sh records captures in it. As root, on Debian 12.
#
#   DMZ client 10.66.20.20 (dmz) -- router -- bridge -- 10.66.10.10 (dc) domain controller
#                                               |-- 10.66.10.30 (in)  internal client
#                                               |-- 10.66.10.31 (mem) member of the domain
#                                               |-- 10.66.10.40, .41 (web), port 1688:
#                                               |                 a web server, a TLS server
#                                               |-- 10.66.10.50 (fs)  file server of no domain
#                                               `-- 10.66.10.60 (old) answers as an old server
#
# Nothing leaves it, nothing else on the machine is touched, and lab_down takes
# all of it down again. Segmentation and checksum offload are off, so that
# frames are as on a wire. The router's end of a host's cable is to-vHOST.

dc=10.66.10.10
fs=10.66.10.50
old=10.66.10.60
zone=corp.example.test
admin=Administrator
password='Lab.Passw0rd'
user=jdoe
other_user=asmith
user_password='User.Passw0rd1'

lab_packages=(samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind smbclient
	samba-common-bin samba-testsuite python3-samba krb5-user ldap-utils ldb-tools libsasl2-modules-gssapi-mit
	bind9-dnsutils python3-impacket nmap tcpdump tshark iproute2 ethtool curl openssl)
lab_hosts=(rtr dc in mem web fs old dmz)
lab_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lab_tag=kwlab$$ # namespaces with names of their own
dir=            # all that the lab writes, from lab_up to lab_down

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# check_packages: dies with what is to be installed.
check_packages() {
	local p missing=()
	for p in "${lab_packages[@]}"; do
		[[ $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) == *' installed' ]] || missing+=("$p")
	done
	[[ ${#missing[@]} == 0 ]] || die "missing packages: apt-get install --no-install-recommends ${missing[*]}"
}

# on HOST COMMAND...: runs it there, under the host's name. Samba's programs meet
# at sockets in /run/samba, so that each host has that folder of its own.
on() {
	local host=$1
	shift
	# shellcheck disable=SC2016
	ip netns exec "$lab_tag-$host" unshare --uts sh -c 'hostname "$1" && mount --bind "$2" /run/samba && shift 2 && exec "$@"' \
		sh "$(host_name "$host")" "$dir/$host/run" "$@"
}

# as HOST COMMAND...: the same as a user of the host, with its settings.
as() {
	SMB_CONF_PATH=$dir/$1.conf KRB5_CONFIG=$dir/krb5.conf KRB5CCNAME=$dir/ccache HOME=$dir on "$@"
}

# host_name HOST: as it is called in DNS and NetBIOS.
host_name() {
	case $1 in
	dc) echo dc1 ;;
	in) echo client1 ;;
	mem) echo member1 ;;
	fs) echo files1 ;;
	dmz) echo dmz1 ;;
	*) echo "$1" ;;
	esac
}

# host_address HOST: its first one; the router has none of its own.
host_address() {
	case $1 in
	dc) echo $dc ;;
	in) echo 10.66.10.30 ;;
	mem) echo 10.66.10.31 ;;
	web) echo 10.66.10.40 ;;
	fs) echo $fs ;;
	old) echo $old ;;
	dmz) echo 10.66.20.20 ;;
	rtr) echo 127.0.0.1 ;;
	esac
}

# plug HOST: a cable to the router; to its bridge unless it is dmz.
plug() {
	local host=$1 if=v$1 address
	address=$(host_address "$1")
	ip link add "$if" netns "$lab_tag-$host" type veth peer name "to-$if" netns "$lab_tag-rtr"
	ip -n "$lab_tag-$host" addr add "$address/24" dev "$if"
	on "$host" ethtool -K "$if" tx off sg off tso off gso off gro off >/dev/null
	on rtr ethtool -K "to-$if" tx off sg off tso off gso off gro off >/dev/null
	ip -n "$lab_tag-$host" link set "$if" up
	ip -n "$lab_tag-rtr" link set "to-$if" up
	[[ $host == dmz ]] || ip -n "$lab_tag-rtr" link set "to-$if" master br-int
	ip -n "$lab_tag-$host" route add default via "${address%.*}.1"
}

# lab_up: the network with the web servers, and no Samba yet.
lab_up() {
	local h
	dir=$(mktemp -d "${TMPDIR:-/tmp}/kwlab.XXXXXX")
	chmod 711 "$dir" # smbd serves pipes as the user of the session
	mkdir -p /run/samba
	for h in "${lab_hosts[@]}"; do
		mkdir -p "$dir/$h/run" "$dir/$h/private"
		ip netns add "$lab_tag-$h"
		on "$h" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
		ip -n "$lab_tag-$h" link set lo up
		mkdir -p "/etc/netns/$lab_tag-$h"
		printf 'search %s\nnameserver %s\n' "$zone" "$dc" >"/etc/netns/$lab_tag-$h/resolv.conf"
		printf '127.0.0.1 localhost\n%s %s.%s %s\n' "$(host_address "$h")" "$(host_name "$h")" "$zone" "$(host_name "$h")" \
			>"/etc/netns/$lab_tag-$h/hosts"
		client_conf "$h"
	done
	ip -n "$lab_tag-rtr" link add br-int type bridge
	ip -n "$lab_tag-rtr" addr add 10.66.10.1/24 dev br-int
	ip -n "$lab_tag-rtr" link set br-int up
	for h in dc in mem web fs old dmz; do plug "$h"; done
	ip -n "$lab_tag-web" addr add 10.66.10.41/24 dev vweb
	ip -n "$lab_tag-rtr" addr add 10.66.20.1/24 dev to-vdmz
	on rtr sysctl -qw net.ipv4.ip_forward=1
	cat >"$dir/krb5.conf" <<-CONF
		[libdefaults]
			default_realm = CORP.EXAMPLE.TEST
			dns_lookup_kdc = false
			dns_lookup_realm = false
			rdns = false
		[realms]
			CORP.EXAMPLE.TEST = {
				kdc = $dc
				kpasswd_server = $dc
			}
		[domain_realm]
			.$zone = CORP.EXAMPLE.TEST
	CONF

	# Servers of other protocols on the KMS port.
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/key.pem" -out "$dir/cert.pem" -days 1 -subj "/CN=kms.$zone" 2>/dev/null
	mkdir "$dir/www" && echo 'not a KMS host' >"$dir/www/index.html"
	on web timeout 3600 /usr/bin/python3 -m http.server 1688 --bind 10.66.10.40 --directory "$dir/www" </dev/null >/dev/null 2>&1 &
	on web timeout 3600 openssl s_server -accept 10.66.10.41:1688 -key "$dir/key.pem" -cert "$dir/cert.pem" -quiet </dev/null >/dev/null 2>&1 &
}

# client_conf HOST: smb.conf of a host that serves nothing. mem may join the domain.
client_conf() {
	cat >"$dir/$1.conf" <<-CONF
		[global]
			workgroup = CORP
			realm = CORP.EXAMPLE.TEST
			netbios name = $(host_name "$1")
	$(conf_paths "$1")
	CONF
	[[ $1 != mem ]] || cat >>"$dir/mem.conf" <<-CONF
			security = ads
			idmap config * : backend = tdb
			idmap config * : range = 10000-20000
			winbind use default domain = yes
			interfaces = vmem
			bind interfaces only = yes
	CONF
}

# conf_paths HOST: lines of smb.conf that keep Samba inside the lab's folder.
conf_paths() {
	printf '\t%s\n' "lock directory = $dir/$1" "state directory = $dir/$1" "cache directory = $dir/$1" \
		"private dir = $dir/$1/private" "pid directory = /run/samba" "log file = $dir/$1/log.%m"
}

# stop HOST: ends every process there. All processes in a namespace of ours are ours.
stop() {
	local pids
	for _ in 1 2 3 4 5; do
		pids=$(ip netns pids "$lab_tag-$1" 2>/dev/null) || break
		[[ -n $pids ]] || break
		# shellcheck disable=SC2086
		kill -KILL $pids 2>/dev/null || true
		sleep 0.2
	done
}

# lab_down: all of it, whatever fails.
lab_down() {
	set +e
	local h
	for h in "${lab_hosts[@]}"; do
		stop "$h"
		ip netns del "$lab_tag-$h" 2>/dev/null
		rm -rf "/etc/netns/$lab_tag-$h"
	done
	rmdir /etc/netns 2>/dev/null
	[[ -z $dir ]] || rm -rf "$dir"
}

# wait_port HOST PORT...: until each is listened on.
wait_port() {
	local host=$1 p open missing
	shift
	for _ in {1..60}; do
		open=$(on "$host" ss -Htln | awk '{print $4}')$'\n'
		missing=
		for p; do [[ $open == *":$p"$'\n'* ]] || missing=$p; done
		[[ -n $missing ]] || return 0
		sleep 1
	done
	die "nobody listens on port $missing of $host; $(tail -n 5 "$dir/$host/out" 2>/dev/null)"
}

# dc_provision: the domain, with an account, a record of a KMS host, a share
# and a printer.
dc_provision() {
	local conf=$dir/dc/etc/smb.conf name
	echo '[global]' >"$dir/empty.conf" # in the place of the machine's own smb.conf
	on dc samba-tool domain provision --use-rfc2307 --realm=CORP.EXAMPLE.TEST --domain=CORP \
		--server-role=dc --dns-backend=SAMBA_INTERNAL "--adminpass=$password" --host-ip=$dc --host-name=dc1 \
		-s "$dir/empty.conf" --targetdir="$dir/dc" --option="interfaces=lo vdc" --option="bind interfaces only=yes" \
		>"$dir/provision.log" 2>&1 || { cat "$dir/provision.log" >&2; die "provision failed"; }
	mkdir "$dir/files" "$dir/spool" "$dir/drivers"
	chmod 777 "$dir/files" "$dir/spool" "$dir/drivers"
	echo 'lab|Laser printer:' >"$dir/printcap"
	: >"$dir/dc-mode.conf"
	sed -i '/^\[global\]/r /dev/stdin' "$conf" <<-CONF
			pid directory = /run/samba
			ncalrpc dir = /run/samba/ncalrpc
			log file = $dir/dc/log.%m
			dns update command = /bin/true
			spn update command = /bin/true
			kccsrv:periodic_startup_interval = 3600
			printing = bsd
			printcap name = $dir/printcap
			print command = rm -f %s
			lpq command = true
			lprm command = true
			include = $dir/dc-mode.conf
	CONF
	cat >>"$conf" <<-CONF

		[files]
			path = $dir/files
			read only = no

		[lab]
			path = $dir/spool
			printable = yes

		[print\$]
			path = $dir/drivers
			read only = no
	CONF
	{
		on dc samba-tool domain passwordsettings set --min-pwd-age=0 -s "$conf"
		on dc samba-tool user create "$user" "$user_password" -s "$conf"
		on dc samba-tool user create "$other_user" "$user_password" -s "$conf"
		# What samba_spnupdate would add, which wants a running server.
		for name in "ldap/dc1" "ldap/dc1.$zone" "ldap/dc1.$zone/$zone" "GC/dc1.$zone/$zone"; do
			on dc samba-tool spn add "$name" 'dc1$' -s "$conf"
		done
	} >"$dir/accounts.log" 2>&1 || { cat "$dir/accounts.log" >&2; die "no accounts"; }
}

# dc_start [LINE...]: the domain controller, with these lines more in its
# [global]. It runs in one process a service, its answers come from one place.
dc_start() {
	local conf=$dir/dc/etc/smb.conf
	[[ -d $dir/dc/etc ]] || dc_provision
	stop dc
	printf '\t%s\n' "$@" >"$dir/dc-mode.conf"
	on dc timeout -k 5 3600 samba -s "$conf" -i -M single --debug-stdout </dev/null >"$dir/dc/out" 2>&1 &
	wait_port dc 53 88 135 389 445 464
	[[ -e $dir/dc/srv ]] || on dc samba-tool dns add $dc $zone _vlmcs._tcp SRV "dc1.$zone 1688 0 0" \
		-U "$admin%$password" -s "$conf" >"$dir/dc/srv" 2>&1 || { cat "$dir/dc/srv" >&2; die "no SRV record"; }
}

# fs_start [LINE...]: a file server of no domain; an unknown name is let in as guest.
fs_start() {
	stop fs
	mkdir -p "$dir/fs/share"
	chmod 777 "$dir/fs/share"
	cat >"$dir/fs.conf" <<-CONF
		[global]
			workgroup = OFFICE
			netbios name = files1
			server role = standalone server
			map to guest = Bad User
			interfaces = vfs
			bind interfaces only = yes
			disable spoolss = yes
			load printers = no
	$(conf_paths fs)
	$(printf '\t%s\n' "$@")
		[share]
			path = $dir/fs/share
			read only = no
			guest ok = yes
	CONF
	on fs timeout -k 5 3600 smbd -s "$dir/fs.conf" -F --no-process-group --debug-stdout </dev/null >"$dir/fs/out" 2>&1 &
	wait_port fs 445 139
}

# old_start: old grants a bind to any interface and does nothing.
old_start() {
	stop old
	(cd "$dir/old" && on old timeout -k 5 3600 "$lab_folder/old_server.py" $old) </dev/null >"$dir/old/out" 2>&1 &
	wait_port old 135 445
}

# member_joined: mem is a member of the domain, and runs nothing.
member_joined() {
	stop mem
	[[ ! -e $dir/mem/private/secrets.tdb ]] || return 0
	as mem net ads join -U "$admin%$password" --no-dns-updates >"$dir/mem/out" 2>&1 ||
		{ cat "$dir/mem/out" >&2; die "no member"; }
}

# member_new: mem is no member, and runs nothing.
member_new() {
	stop mem
	rm -f "$dir/mem/private/secrets.tdb"
}
