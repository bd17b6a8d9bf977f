internal import CKernelPath
internal import Core
internal import RTP
internal import Synchronization

/// Which streams pass inside the kernel, and what came of them there.
///
/// A leg's may, as housekeeping finds, when nothing is to be done with its packets but to send them on. From then on each packet
/// that the worker still sees is a reason to take the stream back, and, once it is sent, to give it to the program again: that
/// goes on with exactly the next one.
extension PacketPath {
    /// So many streams are given to the program in one turn; more wait for their next packets.
    static let mostPending = 256

    /// A stream of which the program has sent nothing so often in a row (all its packets have header extensions, say, or come by
    /// where the program does not see them), or that it can't send, is left alone for so many housekeepings.
    static let mostFruitlessGives: UInt8 = 8
    static let restAfterRefusal: UInt8 = 20

    /// Streams wait to be given to the program once what is queued has been sent.
    var hasPending: Bool { pendingCount > 0 }

    /// The packet of `leg` that was just decided on goes out.
    @inline(always)
    mutating func noteSent(leg number: Int) {
        guard pendingCount < Self.mostPending else { return }
        unsafe pending[pendingCount] = UInt32(truncatingIfNeeded: number)
        pendingCount += 1
    }

    /// Gives the streams that wait to the program, or, when something was not sent, lets them wait for their next packets.
    mutating func givePending(isSent: Bool) {
        if isSent {
            for index in 0..<pendingCount { unsafe give(leg: Int(pending[index])) }
        }
        pendingCount = 0
    }

    private mutating func give(leg number: Int) {
        guard let kernel, number < sessionCapacity * 2, let kernelLegs = unsafe kernelLegs else { return }
        // SAFETY (all): inside by the line above.
        let leg = unsafe legs + number
        let peer = unsafe legs + (number ^ 1)
        guard unsafe leg.pointee.isOpen && !leg.pointee.isInKernel && leg.pointee.handling.allowsKernel && leg.pointee.hasMedia,
            unsafe leg.pointee.lock.isLocked && peer.pointee.lock.isLocked, let run = unsafe media[number].stream.plainRun
        else { return }
        let source = unsafe leg.pointee.lock.source
        let destination = unsafe peer.pointee.lock.destination
        let own = unsafe kernelLegs + tableIndex(number * 2)
        let family = unsafe own.pointee.family
        guard family == source.ip.family.kernelNumber, family == destination.ip.family.kernelNumber, destination.port != 0,
            !destination.ip.isUnspecified
        else { return unsafe refuse(leg) }
        unsafe own.pointee.destination = kernel_address(destination.ip)
        guard unsafe routeFinder.find(for: own, routes: kernel.routes) else { return unsafe refuse(leg) }
        unsafe own.pointee.destination_port = destination.port.bigEndian
        unsafe own.pointee.peer = kernel_address(source.ip)
        unsafe own.pointee.peer_port = source.port.bigEndian
        unsafe own.pointee.has_begun = 0
        unsafe own.set(run, secondEnds: leg.pointee.secondEnds)
        unsafe kernel_leg_give(own)
        unsafe leg.pointee.isInKernel = true
    }

    /// Not this stream for now.
    private func refuse(_ leg: UnsafeMutablePointer<LegSlot>) {
        unsafe leg.pointee.handling.remove(.kernel)
        unsafe leg.pointee.fruitlessGives = 0
        unsafe leg.pointee.housekeepingsWithoutKernel = Self.restAfterRefusal
    }

    /// Something of the session changes: the worker has both its streams until housekeeping has another look.
    mutating func withdraw(session: Int) {
        guard unsafe kernelLegs != nil else { return }
        for number in (session * 2)...(session * 2 + 1) {
            precondition(number >= 0 && number < sessionCapacity * 2)
            // SAFETY: inside by the line above.
            unsafe takeBack(legs + number)
            unsafe legs[number].handling.remove(.kernel)
            unsafe legs[number].housekeepingsWithoutKernel = 0
        }
    }

    /// A datagram came to the socket of a leg whose stream the program has. A stranger's takes nothing back.
    @inline(never)
    mutating func cameToSocket(of leg: UnsafeMutablePointer<LegSlot>, from source: SocketAddress?) {
        if let source, unsafe !isSame(source, leg.pointee.lock.source) {
            // Whether it may take the place of the locked one is a matter of when that was heard.
            unsafe leg.pointee.lock.heard(at: activitySlots[tableIndex((leg - legs) * 2)].load(ordering: .relaxed))
        } else {
            unsafe takeBack(leg)
            if unsafe leg.pointee.fruitlessGives >= Self.mostFruitlessGives { unsafe refuse(leg) }
        }
    }

    /// The worker has the leg's stream from now on, with all that came of it.
    @inline(never)
    mutating func takeBack(_ leg: UnsafeMutablePointer<LegSlot>) {
        guard unsafe leg.pointee.isInKernel, let kernelLegs = unsafe kernelLegs else { return }
        let number = unsafe leg - legs
        let own = unsafe kernelLegs + tableIndex(number * 2)
        _ = unsafe kernel_leg_take(own, UInt32(KERNEL_LEG_WORKER.rawValue))
        unsafe leg.pointee.isInKernel = false
        unsafe account(own, of: leg)
    }

    /// Housekeeping: takes into account what came of a stream in the kernel, and lets one in that may be there. Off the packet path.
    mutating func keepInKernel(leg number: Int, now: UInt64) {
        guard let kernel, let kernelLegs = unsafe kernelLegs else { return }
        precondition(number >= 0 && number < sessionCapacity * 2)
        // SAFETY (both): inside by the line above.
        let leg = unsafe legs + number
        let own = unsafe kernelLegs + tableIndex(number * 2)
        if unsafe leg.pointee.isInKernel {
            // Routes that have changed are followed here: were all streams to come back for that, sockets might not carry them.
            let routes = kernel.routes
            var (hasWay, changed): (Bool, kernel_leg?) = (true, nil)
            if unsafe own.pointee.routes != routes {
                // SAFETY: of the copy only addresses are used, which the program does not write.
                var copy = unsafe own.pointee
                hasWay = unsafe routeFinder.find(for: &copy, routes: routes)
                changed = copy
            }
            guard unsafe kernel_leg_take(own, UInt32(KERNEL_LEG_BUSY.rawValue)) != 0 else {
                // It came back by itself; its packet is on the way.
                unsafe leg.pointee.isInKernel = false
                return unsafe account(own, of: leg)
            }
            unsafe account(own, of: leg)
            if unsafe now >= leg.pointee.secondEnds { unsafe endSecond(leg, table: tableIndex(number * 2), now: now) }
            if let changed { unsafe own.setWay(of: changed) }
            if hasWay, let run = unsafe media[number].stream.plainRun {
                unsafe own.set(run, secondEnds: leg.pointee.secondEnds)
                unsafe kernel_leg_give(own)
            } else {
                unsafe kernel_leg_keep(own)
                unsafe leg.pointee.isInKernel = false
                if !hasWay { unsafe refuse(leg) }
            }
        } else if unsafe leg.pointee.housekeepingsWithoutKernel > 0 {
            unsafe leg.pointee.housekeepingsWithoutKernel -= 1
        } else if unsafe leg.pointee.handling.allowsKernel && leg.pointee.hasMedia && leg.pointee.lock.isLocked,
            unsafe !leg.pointee.lock.isReplacing
        {
            unsafe leg.pointee.handling.insert(.kernel)
        }
    }

    /// What came of the stream since `give`, as if the worker had seen it.
    private mutating func account(_ own: UnsafeMutablePointer<kernel_leg>, of leg: UnsafeMutablePointer<LegSlot>) {
        let number = unsafe leg - legs
        let table = tableIndex(number * 2)
        var run = unsafe own.pointee.run
        unsafe leg.pointee.fruitlessGives = run.packets > 0 || own.pointee.has_begun != 0 ? 0 : leg.pointee.fruitlessGives &+ 1
        guard run.packets > 0 else { return }
        let packets = UInt64(run.packets)
        if unsafe own.pointee.second_ends == .max {
            // First what came before the second ended.
            var former = run
            former.packets = unsafe own.pointee.packets_then
            former.scaledJitter = unsafe own.pointee.scaled_jitter_then
            former.jitterPeak = unsafe own.pointee.jitter_peak_then
            former.lost = unsafe own.pointee.lost_then
            former.lossBursts = unsafe own.pointee.loss_bursts_then
            former.octets = 0
            former.markers = 0
            unsafe media[number].stream.take(former)
            unsafe endSecond(leg, table: table, now: leg.pointee.secondEnds)
            run.packets -= former.packets
            run.lost -= former.lost
            run.lossBursts -= former.lossBursts
        }
        unsafe media[number].stream.take(run)
        unsafe leg.pointee.lock.heard(at: run.lastArrival)
        unsafe statisticsSlots[table].packets.bump(packets)
        unsafe statisticsSlots[table].octets.bump(run.octets)
        unsafe statisticsSlots[table].kernelPackets.bump(packets)
        unsafe statisticsSlots[table ^ 1].sentPackets.bump(packets)
        count(.rtpPacketsReceived, packets)
        count(.rtpOctetsReceived, run.octets)
        count(.rtpPacketsSent, packets)
        count(.rtpPacketsInKernel, packets)
    }
}

extension PacketPath {
    /// For tests.
    func streamStatistics(leg number: Int) -> StreamStatistics {
        precondition(number >= 0 && number < sessionCapacity * 2)
        // SAFETY: inside by the line above.
        return unsafe media[number].stream
    }
}

extension kernel_leg {
    /// What the packets told, of the run that `set` began.
    fileprivate var run: PlainRun {
        var run = PlainRun()
        run.lastArrival = last_arrival
        run.longestInterval = longest_interval
        run.transit = transit
        run.scaledJitter = scaled_jitter
        run.jitterPeak = jitter_peak
        run.packets = packets
        run.markers = markers
        run.octets = octets
        run.lost = lost
        run.lossBursts = loss_bursts
        run.largestSequenceGap = UInt16(truncatingIfNeeded: largest_sequence_gap)
        run.missing = UInt128(missing.1) << 64 | UInt128(missing.0)
        return run
    }
}

extension UnsafeMutablePointer<kernel_leg> {
    /// The leg's owner lets it go on with a run. Each field by itself: others may look at the owner and the counts meanwhile.
    fileprivate func set(_ run: PlainRun, secondEnds: UInt64) {
        unsafe pointee.sequence_number = run.sequenceNumber
        unsafe pointee.ssrc = run.ssrc.bigEndian
        unsafe pointee.payload_type = run.payloadType
        unsafe pointee.last_arrival = run.lastArrival
        unsafe pointee.longest_interval = run.longestInterval
        unsafe pointee.tick_scale = run.tickScale
        unsafe pointee.transit = run.transit
        unsafe pointee.transit_limit = run.transitLimit
        unsafe pointee.scaled_jitter = run.scaledJitter
        unsafe pointee.jitter_peak = run.jitterPeak
        unsafe pointee.missing.0 = UInt64(truncatingIfNeeded: run.missing)
        unsafe pointee.missing.1 = UInt64(truncatingIfNeeded: run.missing >> 64)
        unsafe pointee.largest_sequence_gap = UInt32(run.largestSequenceGap)
        unsafe pointee.lost = 0
        unsafe pointee.loss_bursts = 0
        unsafe kernel_leg_clear(self)
        unsafe pointee.second_ends = secondEnds
    }
}
