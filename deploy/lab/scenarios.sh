# shellcheck shell=bash disable=SC2154
# What record.sh records. $dc, $fs and $old are the servers, $admin and $user
# accounts of the domain, $ex is the folder of impacket's examples. A command
# runs in an empty folder and finds attacks.py of this folder in its PATH.

ex=/usr/share/doc/python3-impacket/examples

# Clients of SMB1, which has to be asked for.
smb1="--option='client min protocol=NT1' --option='client max protocol=NT1'"
smb1_rpc="--option='client ipc min protocol=NT1' --option='client ipc max protocol=NT1'"
as_admin="-U '$admin%$password'"
as_user="-U '$user%$user_password'"

# A file server of no domain that speaks all there is.
fs_open() { fs_in 'server min protocol = LANMAN1' 'ntlm auth = yes' 'lanman auth = yes' 'raw NTLMv2 auth = yes'; }

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

# SMB: sessions without a name, and refused ones.
enumeration='srvinfo;enumdomusers;querydominfo;lsaquery;netshareenumall'
scenario real-smb2-null-session dmz smbclient \
	'rpcclient without a name over SMB2 pipes: srvsvc, samr, lsarpc; lists accounts and shares' \
	"rpcclient -U '' -N $dc -c '$enumeration'"
scenario real-smb2-null-session-inside internal smbclient \
	'the same from the internal zone' \
	"rpcclient -U '' -N $dc -c '$enumeration'"
scenario real-smb1-null-session dmz smbclient \
	'the same over SMB1' \
	"rpcclient -U '' -N $dc $smb1_rpc -c '$enumeration'"
scenario real-smbclient-list dmz smbclient \
	'smbclient -L -N: refused as root, let in without a name, lists the shares over SMB2' \
	"smbclient -L $dc -N"
scenario real-smbclient-list-smb1 dmz smbclient \
	'the same over SMB1 in NetBIOS sessions on port 139: RAP and srvsvc' \
	"smbclient -L $dc -N -p 139 $smb1"
scenario real-smb2-null-session-denied dmz smbclient \
	'restrict anonymous = 2: the session without a name is accepted, IPC$ is denied to it' \
	"rpcclient -U '' -N $dc -c enumdomusers; smbclient -L $dc -U '%'"
before real-smb2-null-session-denied dc_closed
scenario real-smb1-null-session-denied dmz smbclient \
	'the same over SMB1' \
	"rpcclient -U '' -N $dc $smb1_rpc -c enumdomusers"
before real-smb1-null-session-denied dc_closed_smb1
scenario real-smb2-null-session-share dmz smbclient \
	'a session without a name asks for a share that is not for it: access denied' \
	"smbclient //$dc/files -U '%' -c ls"
scenario real-smb2-ntlm-disabled dmz smbclient \
	'a domain controller without NTLM refuses a session of an account, not the one without a name' \
	"smbclient //$dc/files $as_user -c ls; rpcclient -U '' -N $dc -c srvinfo"
before real-smb2-ntlm-disabled dc_without_ntlm
scenario real-smb2-wrong-password dmz smbclient \
	'a wrong password and an account that is not there: logon failure, twice' \
	"smbclient //$dc/files -U '$admin%wrong' -c ls; smbclient //$dc/files -U 'nosuch%wrong' -c ls"
scenario real-smb1-wrong-password dmz smbclient \
	'the same over SMB1' \
	"smbclient //$dc/files -U '$admin%wrong' $smb1 -c ls; smbclient //$dc/files -U 'nosuch%wrong' $smb1 -c ls"
scenario real-smb2-guest dmz smbclient \
	'an unknown name is let in as guest, lists files and the shares by srvsvc' \
	"smbclient //$fs/share -U 'visitor%none' -c ls; rpcclient -U 'visitor%none' $fs -c netshareenumall"
before real-smb2-guest fs_open
scenario real-smb1-guest dmz smbclient \
	'the same over SMB1' \
	"smbclient //$fs/share -U 'visitor%none' $smb1 -c ls; rpcclient -U 'visitor%none' $smb1_rpc $fs -c netshareenumall"
before real-smb1-guest fs_open
scenario real-smb1-raw-ntlm dmz smbclient \
	'SMB1 without SPNEGO: bare NTLM responses in the session setup of a guest, an empty one for no name' \
	"smbclient //$fs/share -U 'visitor%none' $smb1 --option='client use spnego=no' --option='client ntlmv2 auth=no' -c ls; smbclient -L $fs -U '%' $smb1 --option='client use spnego=no'"
before real-smb1-raw-ntlm fs_open
scenario real-smb1-lanman dmz smbclient \
	'dialect LANMAN 2.1: names in ASCII, DOS errors, LM responses, a session as guest' \
	"smbclient //$fs/share -U 'visitor%none' --option='client min protocol=LANMAN1' -m LANMAN2 --option='client use spnego=no' --option='client lanman auth=yes' --option='client ntlmv2 auth=no' -c 'ls; put upload.txt; get upload.txt back.txt; rm upload.txt'"
before real-smb1-lanman fs_open small_file

# SMB: what accounts do.
files='put upload.txt; get upload.txt back.txt; allinfo upload.txt; rm upload.txt'
scenario real-smb2-files dmz smbclient \
	'smbclient with a password puts and gets 40 KB over SMB 3.1.1' \
	"smbclient //$dc/files $as_user -c '$files'"
before real-smb2-files dc_open file
scenario real-smb2-files-signed dmz smbclient \
	'the same, signed' \
	"smbclient //$dc/files $as_user --client-protection=sign -c '$files'"
before real-smb2-files-signed dc_open file
scenario real-smb3-encrypted dmz smbclient \
	'the same, encrypted after the session setup; then rpcclient in encrypted pipes' \
	"smbclient //$dc/files $as_user --client-protection=encrypt -c '$files'; rpcclient $as_user --client-protection=encrypt $dc -c enumdomusers"
before real-smb3-encrypted dc_open file
scenario real-smb1-files dmz smbclient \
	'smbclient with a password puts and gets 40 KB over SMB1' \
	"smbclient //$dc/files $as_user $smb1 -c '$files'"
before real-smb1-files dc_open file
scenario real-smb2-kerberos internal smbclient \
	'kinit, then smbclient and rpcclient over SMB 3.1.1 with Kerberos' \
	"echo '$user_password' | kinit $user && smbclient --use-kerberos=required //dc1.$zone/files -c ls && rpcclient --use-kerberos=required dc1.$zone -c enumdomusers"
scenario real-smb2-dialects dmz smbclient \
	'smbclient in each dialect from 2.0.2 to 3.1.1' \
	"for m in SMB2_02 SMB2_10 SMB3_00 SMB3_02 SMB3_11; do smbclient //$dc/files $as_user -m \$m -c 'cd nosuch'; done"
scenario real-smb2-notify dmz smbclient \
	'smbclient waits for a change of a folder: pending, answered when another client makes it' \
	"(sleep 2; smbclient //$fs/share -U 'visitor%none' -c 'mkdir watched/new') & timeout 4 smbclient //$fs/share -U 'visitor%none' -c 'mkdir watched; notify watched'"
before real-smb2-notify fs_open
torture="smbtorture //$dc/files $as_admin"
scenario real-smb2-compound dmz samba-testsuite \
	'smbtorture: compounds of related and of unrelated requests, an invalid one, one that is pending inside' \
	"for t in related1 related4 unrelated1 invalid1 interim2 create-write-close; do $torture smb2.compound.\$t; done"
scenario real-smb2-session-bind dmz samba-testsuite \
	'smbtorture binds a session to a second connection' \
	"$torture smb2.session.bind1"
scenario real-smb2-oplock dmz samba-testsuite \
	'smbtorture: the server breaks an oplock unasked' \
	"$torture smb2.oplock.exclusive2"
scenario real-smb2-credits dmz smbclient \
	'smbclient puts 70 KB in one request that takes several credits' \
	"smbclient //$dc/files $as_user -c 'put upload.txt; rm upload.txt'"
before real-smb2-credits dc_open large_file
scenario real-smb2-rpc-user dmz smbclient \
	'rpcclient over SMB2 pipes with a password, no security of RPC itself' \
	"rpcclient $as_user $dc -c 'enumdomusers;netshareenumall'"
scenario real-smb2-rpc-sign dmz smbclient \
	'the same, RPC itself at level packet integrity by SPNEGO' \
	"rpcclient $as_user 'ncacn_np:${dc}[sign]' -c enumdomusers"
scenario real-smb2-rpc-seal dmz smbclient \
	'the same, RPC itself at level packet privacy by SPNEGO' \
	"rpcclient $as_user 'ncacn_np:${dc}[seal]' -c enumdomusers"
scenario real-smb1-rpc-sign dmz smbclient \
	'rpcclient over SMB1 pipes, RPC itself at level packet integrity' \
	"rpcclient $as_user $smb1_rpc 'ncacn_np:${dc}[sign]' -c enumdomusers"
scenario real-rpcclient-ntlm dmz smbclient \
	'rpcclient over TCP at level packet integrity with NTLMSSP without SPNEGO' \
	"rpcclient $as_user 'ncacn_ip_tcp:${dc}[ntlm,sign]' -c enumdomusers"
scenario real-rpcclient-krb5 internal smbclient \
	'rpcclient over TCP at level packet privacy with Kerberos without SPNEGO' \
	"echo '$user_password' | kinit $user && rpcclient --use-kerberos=required 'ncacn_ip_tcp:dc1.${zone}[krb5,seal]' -c enumdomusers"
scenario real-nmap-smb dmz nmap \
	'nmap scripts over SMB1 without a name: the system, users, shares' \
	"nmap -Pn -n -sT -p 445 --script smb-os-discovery,smb-enum-users,smb-enum-shares,smb-protocols $dc"

# LDAP and Kerberos.
base='DC=corp,DC=example,DC=test'
scenario real-ldap-anonymous dmz ldap-utils \
	'ldapsearch without a name below the domain: bind granted, search refused' \
	"ldapsearch -x -H ldap://$dc -b $base '(objectClass=user)' cn"
scenario real-ldap-anonymous-inside internal ldap-utils \
	'the same from the internal zone' \
	"ldapsearch -x -H ldap://$dc -b $base '(objectClass=user)' cn"
scenario real-ldap-simple dmz ldap-utils \
	'ldapsearch with a simple bind: name and password in clear, an answer of several entries' \
	"ldapsearch -x -H ldap://$dc -D $user@$zone -w '$user_password' -b $base '(objectClass=user)' cn"
scenario real-ldap-simple-refused dmz ldap-utils \
	'a simple bind with a wrong password: invalid credentials; one with a name and no password' \
	"ldapsearch -x -H ldap://$dc -D $user@$zone -w wrong -b $base; ldapsearch -x -H ldap://$dc -D CN=$user,CN=Users,$base -b $base -s base"
scenario real-ldap-strong-auth dmz ldap-utils \
	'a server that wants stronger authentication refuses a simple bind' \
	"ldapsearch -x -H ldap://$dc -D $user@$zone -w '$user_password' -b $base -s base"
before real-ldap-strong-auth dc_closed
scenario real-ldap-gssapi internal ldap-utils \
	'ldapsearch with SASL GSSAPI: Kerberos, then sealed' \
	"echo '$user_password' | kinit $user && ldapsearch -N -Y GSSAPI -H ldap://dc1.$zone -b $base -s base"
scenario real-ldap-ntlm dmz ldb-tools \
	'ldbsearch with SASL GSS-SPNEGO and NTLM, then sealed' \
	"ldbsearch -H ldap://$dc $as_user -b $base -s base"
scenario real-ldap-ntlm-refused dmz ldb-tools \
	'the same with a wrong password' \
	"ldbsearch -H ldap://$dc -U '$user%wrong' -b $base -s base"
scenario real-ldap-starttls dmz ldap-utils \
	'ldapsearch asks for TLS on port 389, then binds inside' \
	"LDAPTLS_REQCERT=never ldapsearch -x -ZZ -H ldap://$dc -D $user@$zone -w '$user_password' -b $base -s base"
scenario real-cldap-ping dmz samba-common-bin \
	'net ads lookup: the netlogon ping over UDP' \
	"net ads lookup -S $dc"
scenario real-nmap-ldap dmz nmap \
	'nmap reads the root DSE' \
	"nmap -Pn -n -sT -p 389 --script ldap-rootdse $dc"
scenario real-kinit-wrong-password dmz krb5-user \
	'kinit with a wrong password: pre-authentication failed' \
	"echo wrong | kinit $user"
scenario real-kinit-unknown dmz krb5-user \
	'kinit for an account that is not there' \
	"echo wrong | kinit nosuch"
scenario real-kvno internal krb5-user \
	'kinit, a service ticket, and one for a service that is not there' \
	"echo '$user_password' | kinit $user && kvno cifs/dc1.$zone ldap/dc1.$zone; kvno http/nosuch.$zone"

# A member's day in a normal domain.
normal() {
	scenario "real-normal-$1" member "$2" "$3" "$4"
	before "real-normal-$1" dc_open member_joined
}
winbind='winbindd -D && sleep 3'
normal join samba-common-bin \
	'net ads join: locates the domain controller, lsarpc, LDAP with Kerberos, the netlogon secure channel' \
	"net ads join -U '$admin%$password' --no-dns-updates"
before real-normal-join dc_open member_new
normal start winbind \
	'winbindd starts: domain information by lsarpc and netlogon over SMB2 and TCP; the trust is checked' \
	"$winbind && wbinfo -t"
normal testjoin samba-common-bin \
	'net tests the membership by the netlogon secure channel over SMB2 and by LDAP' \
	'net rpc testjoin; net ads testjoin'
normal logon winbind \
	'an account logs on: NTLM passed to netlogon, names and groups by lsarpc, kinit, a share with Kerberos' \
	"$winbind && wbinfo -a '$user%$user_password' && wbinfo -i $user && wbinfo -r $user; echo '$user_password' | kinit $user && smbclient --use-kerberos=required //dc1.$zone/files -c ls"
normal accounts winbind \
	'winbindd lists the accounts and groups of the domain' \
	"$winbind && wbinfo -u && wbinfo -g && wbinfo -n '$user' && wbinfo --trusted-domains"
normal group-policy smbclient \
	'a logged-on account reads GPT.INI of the default policy from sysvol' \
	"echo '$user_password' | kinit $user && smbclient --use-kerberos=required //dc1.$zone/sysvol -c 'cd $zone/Policies/{31B2F340-016D-11D2-945F-00C04FB984F9}; get GPT.INI'"
normal gpupdate samba-common-bin \
	'samba-gpupdate of the computer: policies by LDAP, then sysvol with the machine account' \
	'samba-gpupdate --force --target=Computer'
normal printing smbclient \
	'a job is printed by an account, the printer looked at by an administrator over spoolss' \
	"smbclient $as_user //dc1.$zone/lab -c 'print upload.txt'; rpcclient $as_admin dc1.$zone -c 'enumprinters;getprinter lab 2;enumdrivers;enumports'"
before real-normal-printing dc_open member_joined small_file
normal shares smbclient \
	'an account lists the shares, looks up names and its own account' \
	"smbclient -L dc1.$zone $as_user; rpcclient $as_user dc1.$zone -c 'lookupnames $user;queryuser $user;getdompwinfo'"
normal machine-password samba-common-bin \
	'net ads changetrustpw: the machine account changes its password by kpasswd' \
	'net ads changetrustpw'
normal machine-secret winbind \
	'winbindd changes the machine password by NetrServerPasswordSet2 in the secure channel' \
	"$winbind && wbinfo -c"
normal password krb5-user \
	'an account changes its password by kpasswd, then by SAMR over SMB2' \
	"printf '%s\n' '$user_password' 'Second.Passw0rd2' 'Second.Passw0rd2' | kpasswd $other_user; printf '%s\n' 'Second.Passw0rd2' 'Third.Passw0rd3' 'Third.Passw0rd3' | smbpasswd -s -r dc1.$zone -U $other_user"
normal dns samba-common-bin \
	'net ads dns register: an update refused without, granted with TSIG by Kerberos' \
	'net ads dns register -P'

# impacket's examples. They encrypt SMB3 wherever a name is given and the server
# can, which dc_plain cannot.
impacket() {
	scenario "real-$1" "$2" python3-impacket "$3" "/usr/bin/python3 $ex/$4"
	before "real-$1" dc_plain
}
login="CORP/$admin:$password@$dc"
impacket samrdump dmz \
	'samrdump without a name over SMB2: a request is a write and a read of the pipe' \
	"samrdump.py $dc"
impacket samrdump-inside internal \
	'the same from the internal zone' \
	"samrdump.py $dc"
impacket samrdump-netbios dmz \
	'the same in a NetBIOS session on port 139' \
	"samrdump.py -port 139 $dc"
impacket samrdump-denied dmz \
	'restrict anonymous = 2: samrdump without a name is denied IPC$' \
	"samrdump.py $dc"
before real-samrdump-denied dc_closed
impacket samrdump-user dmz \
	'samrdump with a password over SMB2' \
	"samrdump.py CORP/$user:$user_password@$dc"
impacket samrdump-encrypted dmz \
	'samrdump with a password, SMB3 encrypted: the pipe is not to be seen' \
	"samrdump.py CORP/$user:$user_password@$dc"
before real-samrdump-encrypted dc_open
impacket lookupsid-denied dmz \
	'lookupsid without a name: the policy is not opened for it' \
	"lookupsid.py -no-pass $dc 520"
impacket lookupsid dmz \
	'lookupsid with a password: one request and one response of several fragments' \
	"lookupsid.py $login 520"
impacket rpcdump-smb dmz \
	'rpcdump without a name by the pipe epmapper' \
	"rpcdump.py -port 445 $dc"
impacket rpcmap-smb dmz \
	'rpcmap without a name asks for the interfaces behind the pipe lsarpc' \
	"rpcmap.py -no-pass 'ncacn_np:${dc}[\\pipe\\lsarpc]'"
impacket getarch dmz \
	'getArch binds the endpoint mapper with NDR64 alone: rejected' \
	"getArch.py -target $dc"
impacket netview dmz \
	'netview asks for the sessions by srvsvc: access denied' \
	"netview.py -target $dc -noloop CORP/$user:$user_password"
impacket services-list dmz \
	'services lists the services by svcctl' \
	"services.py $login list"
impacket services-create dmz \
	'services creates a service by svcctl: RCreateServiceW, which Samba answers by a fault' \
	"services.py $login create -name labservice -display labservice -path 'C:\\lab\\service.exe'"
impacket services-create-inside internal \
	'the same from the internal zone' \
	"services.py $login create -name labservice -display labservice -path 'C:\\lab\\service.exe'"
impacket reg-query dmz \
	'reg looks after the service of the remote registry, then reads keys by winreg' \
	"reg.py $login query -keyName 'HKLM\\SOFTWARE'"
impacket atexec dmz \
	'atexec opens the pipe atsvc, which is not there' \
	"atexec.py $login hostname"
impacket atexec-old dmz \
	'atexec against a server with the pipe: ITaskSchedulerService sealed, a task is registered, answered by a fault' \
	"atexec.py CORP/$admin:$password@$old hostname"
before real-atexec-old old_up
impacket secretsdump dmz \
	'secretsdump replicates an account by drsuapi over TCP, sealed: DsGetNCChanges by no domain controller' \
	"secretsdump.py -just-dc-user CORP/$user $login"
impacket secretsdump-inside internal \
	'the same from the internal zone' \
	"secretsdump.py -just-dc-user CORP/$user $login"

# The requests by which attacks are recognised, against Samba and against a
# server that grants what Samba does not offer.
attack() {
	local name=real-attack-$1
	shift
	scenario "$name" dmz python3-impacket "$1" "attacks.py $2"
	before "$name" dc_plain old_up
}
named="-u '$admin:$password'"
attack petitpotam \
	'PetitPotam without a name: EfsRpcOpenFileRaw of a UNC path by lsarpc, tried by the server (53)' \
	"petitpotam $old"
attack petitpotam-user \
	'the same with a password, in the clear' \
	"-u $user:$user_password petitpotam $old"
attack petitpotam-sealed \
	'the same with a password, sealed: only the operation is seen' \
	"-u $user:$user_password -l seal petitpotam $old"
attack petitpotam-efsrpc \
	'PetitPotam without a name: EfsRpcEncryptFileSrv by the pipe efsrpc' \
	"petitpotam-efsrpc $old"
attack petitpotam-refused \
	'PetitPotam against Samba: the bind to EFSR by lsarpc is rejected, the pipe efsrpc is not there' \
	"petitpotam $dc; attacks.py petitpotam-efsrpc $dc"
attack printerbug \
	'PrinterBug without a name: RpcRemoteFindFirstPrinterChangeNotificationEx, refused (1722)' \
	"printerbug $dc"
attack printerbug-user \
	'the same with a password, signed' \
	"-u $user:$user_password -l sign printerbug $dc"
attack printnightmare \
	'PrintNightmare with a password: RpcAddPrinterDriverEx with a data file on a UNC path, refused' \
	"-u $user:$user_password printnightmare $dc"
attack printnightmare-smb1 \
	'the same over SMB1' \
	"-1 -u $user:$user_password printnightmare $dc"
attack dfscoerce \
	'DFSCoerce with a password: NetrDfsAddStdRoot and NetrDfsRemoveStdRoot, faults' \
	"-u $user:$user_password dfscoerce $dc"
attack shadowcoerce \
	'ShadowCoerce with a password: IsPathSupported and IsPathShadowCopied of a UNC path, faults' \
	"-u $user:$user_password shadowcoerce $old"
attack shadowcoerce-refused \
	'ShadowCoerce against Samba: the pipe FssagentRpc is not there' \
	"-u $user:$user_password shadowcoerce $dc"
attack zerologon \
	'Zerologon by the pipe netlogon: four times a client challenge and credential of zeros for DC1$, denied' \
	"zerologon $dc"
attack zerologon-tcp \
	'the same over TCP' \
	"-t zerologon $dc"
attack ms08-067 \
	'MS08-067 over SMB1 by the pipe browser: NetprPathCanonicalize of a path that climbs above its root, a fault' \
	"-1 ms08-067-browser $old"
attack ms08-067-samba \
	'the same over SMB2 by srvsvc against Samba, a fault' \
	"ms08-067 $dc"
attack ms08-067-refused \
	'the same by the pipe browser against Samba: the bind is rejected' \
	"ms08-067-browser $dc"
attack ms06-040 \
	'MS06-040 over SMB1 by the pipe browser: NetprPathCanonicalize of an overlong path and prefix' \
	"-1 ms06-040 $old"
attack ms03-026 \
	'MS03-026 on port 135: RemoteActivation with an overlong server name, a fault' \
	"ms03-026 $old"
attack ms03-026-refused \
	'the same against Samba: the bind is rejected' \
	"ms03-026 $dc"
attack service \
	'a service is created by svcctl over SMB1' \
	"-1 $named service $dc"
attack service-null \
	'the service manager refuses a session without a name' \
	"service $dc"
attack task \
	'a task is registered by ITaskSchedulerService in the clear' \
	"$named task $old"
attack task-sealed \
	'the same, sealed' \
	"$named -l seal task $old"
attack job \
	'a job is added by the older NetrJobAdd' \
	"$named job $old"
attack registry \
	'a key is saved to a file and a value set by winreg' \
	"$named registry $dc"
attack registry-null \
	'the same in a session without a name: the keys open, the value is refused' \
	"registry $dc"
scenario real-path-canonicalize dmz python3-impacket \
	'no attack: NetprPathCanonicalize with a password, of a path that stays below its root; a fault' \
	"attacks.py -u $user:$user_password path $dc"
before real-path-canonicalize dc_plain

# Pipes as no tool above uses them.
pipes() {
	scenario "real-$1" dmz python3-impacket "$2" "pipes.py $3"
	before "real-$1" dc_plain old_up
}
pipes smb2-pipes \
	'two pipes in turn over SMB2: answers read by 40 bytes, one by a transaction without room for it: buffer overflow' \
	"$dc"
pipes smb1-pipes \
	'two pipes in turn over SMB1: answers read by 40 bytes, one by a transaction' \
	"-1 $dc"
pipes smb2-pipes-pieces \
	'two pipes in turn over SMB2, PDUs written by 7 bytes and read by 40' \
	"-w 7 $old"
pipes smb1-pipes-pieces \
	'the same over SMB1' \
	"-1 -w 7 $old"
pipes smb2-pipes-pending \
	'PDUs written by 30 bytes over SMB2 against Samba, which does not put them together: a read stays pending' \
	"-w 30 $dc & sleep 5; kill %1"
