#!/bin/sh
# Fails when the packet path's machine code counts references, allocates or checks exclusivity.
#
# usage: check-machine-code.sh FILE...    a release build of relayd, or object files of Relay, Uring and RTP
#
# Looked at are the functions that run for each packet. Those that run once a lock, a socket or a call are not among them.
set -eu
[ $# -ge 1 ] || { echo "usage: $0 FILE..." >&2; exit 64; }

hot='5Relay6WorkerV9relayWave|5Relay10PacketPathV(7receive|10relayOther)|5Relay10SourceLockV6decide|5Relay17ControlSourceLockV7receive|3RTP15SequenceTrackerV5begin'
forbidden='swift_(retain|release|bridgeObject|unknownObject|alloc|dealloc|slowAlloc|beginAccess|endAccess|once|initStackObject|isUniquely|dynamicCast|getExistential|projectBox|willThrow|allocError)|malloc|pthread_mutex'

objdump -dr --no-show-raw-insn "$@" | awk -v hot="$hot" -v forbidden="$forbidden" '
    /^[0-9a-f]+ <.*>:$/ { name = $2; inside = name ~ hot; if (inside) { seen[name] = 1; if (name ~ /relayWave/) loop = 1 } next }
    inside && $0 ~ forbidden { print "packet path: " name " " $0; failed = 1 }
    END {
        for (name in seen) print "checked " name
        if (!loop) { print "packet path: the loop relayWave was not found; is this a release build with symbols?"; failed = 1 }
        exit failed
    }'
