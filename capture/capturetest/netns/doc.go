// Package netns gives tests network namespaces with veth pairs between them, a
// way to run code in one, and one to send raw frames. The namespaces have no
// name: they are gone with the test process, however it ends. It needs root, and
// ip from iproute2. Only tests import it.
package netns
