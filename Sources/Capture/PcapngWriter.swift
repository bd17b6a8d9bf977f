package import Core

/// Writes datagrams as a pcapng file (draft-ietf-opsawg-pcapng), octets out: whoever owns it takes them away.
///
/// There is one interface of raw IP packets with times in microseconds. Each datagram gets IP and UDP headers made up from its
/// addresses, with right checksums. Comments are what Wireshark shows with a packet.
package struct PcapngWriter: Sendable {
    private var pending: [UInt8] = []
    /// All octets of the file so far, those taken away included.
    package private(set) var octetCount = 0
    package private(set) var packetCount = 0
    private var identification: UInt16 = 0

    /// LINKTYPE_RAW: packets begin with an IPv4 or IPv6 header.
    private static let linkType: UInt16 = 101
    /// What an IPv4 packet can carry; longer datagrams are cut, which the file says.
    package static let maximumDatagram = 65_535 - 28

    /// Begins the file.
    ///
    /// - Parameters:
    ///   - application: who writes it, such as `relayd 0.1.0`.
    ///   - comments: about the whole file.
    package init(application: String, comments: [String] = []) {
        var section: [UInt8] = []
        section.append(littleEndian: 0x1a2b_3c4d as UInt32)  // byte-order magic
        section.append(littleEndian: 1 as UInt16)  // version 1.0
        section.append(littleEndian: 0 as UInt16)
        section.append(littleEndian: UInt64.max)  // length of the section: not known
        var options = comments.map { (code: Option.comment, text: $0) }
        options.append((Option.application, application))
        addBlock(0x0a0d_0d0a, section, options)

        var interface: [UInt8] = []
        interface.append(littleEndian: Self.linkType)
        interface.append(littleEndian: 0 as UInt16)
        interface.append(littleEndian: 0 as UInt32)  // packets are not cut
        addBlock(1, interface, [(Option.name, "relayd")])
    }

    /// Adds one datagram.
    ///
    /// - Parameter microseconds: since 1970.
    package mutating func add(
        _ datagram: some Collection<UInt8>, from source: SocketAddress, to destination: SocketAddress, at microseconds: UInt64,
        comments: [String] = []
    ) {
        let payload = datagram.prefix(Self.maximumDatagram)
        var packet: [UInt8] = []
        packet.reserveCapacity(payload.count + 48)
        addHeaders(of: payload, from: source, to: destination, into: &packet)
        var body: [UInt8] = []
        body.reserveCapacity(packet.count + 24)
        body.append(littleEndian: 0 as UInt32)  // interface
        body.append(littleEndian: UInt32(truncatingIfNeeded: microseconds >> 32))
        body.append(littleEndian: UInt32(truncatingIfNeeded: microseconds))
        body.append(littleEndian: UInt32(packet.count))
        body.append(littleEndian: UInt32(packet.count + datagram.count - payload.count))
        body += packet
        body.pad()
        packetCount += 1
        addBlock(6, body, comments.map { (Option.comment, $0) })
    }

    /// What was written since the last time.
    package mutating func take() -> [UInt8] {
        defer { pending = [] }
        return pending
    }

    package var pendingCount: Int { pending.count }

    // MARK: Blocks

    private enum Option {
        static let comment: UInt16 = 1
        /// Of an interface block.
        static let name: UInt16 = 2
        /// Of a section block.
        static let application: UInt16 = 4
    }

    private mutating func addBlock(_ type: UInt32, _ body: [UInt8], _ options: [(code: UInt16, text: String)]) {
        var block = body
        for option in options {
            let text = Array(option.text.utf8.prefix(Int(UInt16.max)))
            block.append(littleEndian: option.code)
            block.append(littleEndian: UInt16(text.count))
            block += text
            block.pad()
        }
        if !options.isEmpty { block.append(littleEndian: 0 as UInt32) }
        let length = UInt32(block.count + 12)
        pending.append(littleEndian: type)
        pending.append(littleEndian: length)
        pending += block
        pending.append(littleEndian: length)
        octetCount += Int(length)
    }

    // MARK: Headers

    private mutating func addHeaders(
        of payload: some Collection<UInt8>, from source: SocketAddress, to destination: SocketAddress, into packet: inout [UInt8]
    ) {
        let udpLength = UInt16(payload.count + 8)
        var udp: [UInt8] = []
        udp.append(bigEndian: source.port)
        udp.append(bigEndian: destination.port)
        udp.append(bigEndian: udpLength)
        udp.append(bigEndian: 0 as UInt16)
        let from = source.ip.octets
        let to = destination.ip.octets
        var pseudo = from + to
        pseudo.append(bigEndian: UInt32(udpLength))
        pseudo.append(bigEndian: 17 as UInt32)
        var sum = Checksum()
        sum.add(pseudo)
        sum.add(udp)
        sum.add(payload)
        // A sum of zero is sent as its other form: zero means that there is none (RFC 768).
        let checksum = sum.value == 0 ? UInt16.max : sum.value
        udp[6] = UInt8(checksum >> 8)
        udp[7] = UInt8(truncatingIfNeeded: checksum)

        if source.ip.family == .ipv4 && destination.ip.family == .ipv4 {
            identification &+= 1
            var ip: [UInt8] = [0x45, 0]
            ip.append(bigEndian: udpLength + 20)
            ip.append(bigEndian: identification)
            ip += [0x40, 0, 64, 17, 0, 0]  // not to be fragmented, time to live, UDP
            ip += from + to
            var sum = Checksum()
            sum.add(ip)
            ip[10] = UInt8(sum.value >> 8)
            ip[11] = UInt8(truncatingIfNeeded: sum.value)
            packet += ip
        } else {
            packet += [0x60, 0, 0, 0]
            packet.append(bigEndian: udpLength)
            packet += [17, 64] + source.ip.mappedOctets + destination.ip.mappedOctets
        }
        packet += udp
        packet += payload
    }

    /// The checksum of IP and UDP (RFC 1071).
    private struct Checksum {
        private var sum: UInt32 = 0

        /// An odd number of octets may be added only last.
        mutating func add(_ octets: some Collection<UInt8>) {
            var isHigh = true
            for octet in octets {
                sum &+= isHigh ? UInt32(octet) << 8 : UInt32(octet)
                isHigh.toggle()
                if sum > 0x7fff_0000 { fold() }
            }
        }

        private mutating func fold() { sum = (sum & 0xffff) + (sum >> 16) }

        var value: UInt16 {
            var folded = self
            folded.fold()
            folded.fold()
            return ~UInt16(truncatingIfNeeded: folded.sum)
        }
    }
}

extension IPAddress {
    /// In network order, 4 or 16.
    fileprivate var octets: [UInt8] {
        var octets: [UInt8] = []
        if family == .ipv6 {
            octets.append(bigEndian: high)
            octets.append(bigEndian: low)
        } else {
            octets.append(bigEndian: UInt32(truncatingIfNeeded: low))
        }
        return octets
    }

    /// As IPv6: IPv4 addresses between the two families as mapped ones (RFC 4291 §2.5.5.2).
    fileprivate var mappedOctets: [UInt8] {
        family == .ipv6 ? octets : [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + octets
    }
}

extension [UInt8] {
    fileprivate mutating func append(littleEndian value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    fileprivate mutating func append(bigEndian value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// Blocks and options are multiples of four octets.
    fileprivate mutating func pad() { while count % 4 != 0 { append(0) } }
}
