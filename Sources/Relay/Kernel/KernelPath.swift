internal import CKernelPath
internal import Core
internal import Glibc
internal import Synchronization
internal import Uring

/// Why RTP does not pass inside the kernel. The description is one sentence for an operator.
public struct KernelPathRefusal: Error, Sendable, CustomStringConvertible {
    let step: String
    let code: Errno

    public var description: String {
        switch code.code {
        case EPERM, EACCES:
            "RTP goes through sockets, not inside the kernel: \(step) needs CAP_BPF and CAP_NET_ADMIN."
        case EINVAL, EBADF, ENOSYS:
            "RTP goes through sockets, not inside the kernel: \(step) takes Linux 6.6 or newer (\(code))."
        default: "RTP goes through sockets, not inside the kernel: \(step): \(code)."
        }
    }
}

/// The relay's program inside the kernel, and what it shares with the workers: see `CKernelPath`.
///
/// Control makes it, and says which port is which leg's. A leg's memory belongs to its worker or to the program, as its `owner`
/// says; what control writes there it writes before the worker hears of the session.
///
/// It ends with the process, however that ends: the kernel takes the program from the devices when nobody holds it any more.
@safe
final class KernelPath: @unchecked Sendable {
    // SAFETY of @unchecked: its pointers are constants and live as long as it does. Of what `path` points to only `routes`
    // changes, which is atomic, and a leg's memory has one owner at a time, handed on with acquire and release. `Sendable` cannot
    // be checked where there are pointers, and the kernel's side of this memory is nothing the compiler could see anyway.
    private let path: UnsafeMutablePointer<kernel_path>
    let legs: UnsafeMutablePointer<kernel_leg>
    let legCapacity: Int
    private let withLoopback: Bool
    /// The devices it stands at, by number: their names, and what keeps it there.
    private let places: Mutex<[UInt32: (name: String, link: Int32)]>
    /// The names of the devices it stands at, in order of their numbers.
    var devices: [String] { places.withLock { $0.sorted { $0.key < $1.key }.map(\.value.name) } }

    /// Puts it at every Ethernet device that has an address, and at the loopback device if media is to be there.
    init(legCapacity: Int, withLoopback: Bool) throws(KernelPathRefusal) {
        let path = UnsafeMutablePointer<kernel_path>.allocate(capacity: 1)
        var step: UnsafePointer<CChar>?
        let code = unsafe kernel_path_open(path, UInt32(legCapacity), &step)
        guard code == 0 else {
            unsafe path.deallocate()
            throw KernelPathRefusal(step: unsafe step.map { unsafe String(cString: $0) } ?? "", code: Errno(code: code))
        }
        unsafe legs = path.pointee.leg_memory
        unsafe self.path = path
        self.legCapacity = legCapacity
        self.withLoopback = withLoopback
        places = Mutex([:])
        try standAtDevices()
        guard !devices.isEmpty else { throw KernelPathRefusal(step: "finding an Ethernet device", code: Errno(code: ENODEV)) }
    }

    deinit {
        places.withLock { places in for place in places.values { close(place.link) } }
        unsafe kernel_path_close(path)
        unsafe path.deallocate()
    }

    /// Goes to devices that are new, and forgets those that are gone.
    private func standAtDevices() throws(KernelPathRefusal) {
        let present = try Self.devices(withLoopback: withLoopback)
        let refusal = places.withLock { places -> KernelPathRefusal? in
            for (device, place) in places where !present.contains(device) {
                close(place.link)
                places[device] = nil
            }
            for device in present where places[device] == nil {
                let name = Self.deviceName(device)
                let link = unsafe kernel_path_attach(path, device)
                guard link >= 0 else { return KernelPathRefusal(step: "putting the program at \(name)", code: Errno(code: -link)) }
                places[device] = (name, link)
            }
            return nil
        }
        if let refusal { throw refusal }
    }

    private static func devices(withLoopback: Bool) throws(KernelPathRefusal) -> [UInt32] {
        var numbers = [UInt32](repeating: 0, count: 256)
        let count = unsafe kernel_path_devices(&numbers, Int32(numbers.count), withLoopback ? 1 : 0)
        guard count >= 0 else { throw KernelPathRefusal(step: "looking for devices", code: Errno(code: -count)) }
        return Array(numbers[..<Int(count)])
    }

    private static func deviceName(_ number: UInt32) -> String {
        var name = InlineArray<16, CChar>(repeating: 0)
        var span = name.mutableSpan
        return unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe if_indextoname(number, buffer.baseAddress!).map { unsafe String(cString: $0) } ?? "device \(number)"
        }
    }

    /// When each leg was last heard: a word a leg, which worker and program write.
    var activityMemory: UnsafeMutablePointer<UInt64> { unsafe path.pointee.activity_memory }

    // MARK: Control

    /// The session's sockets were made, and its worker has not heard of it.
    func add(session: UInt32, caller: SocketAddress, callee: SocketAddress, typeOfService: UInt8) {
        precondition(Int(session) * 2 + 1 < legCapacity)
        guard caller.ip.family == callee.ip.family else { return }
        for (leg, own, other) in [(0, caller, callee), (1, callee, caller)] {
            let number = Int(session) * 2 + leg
            var port = kernel_port(own)
            // A port that the program does not know goes through its socket.
            guard unsafe kernel_path_add(path, &port, UInt32(number)) == 0 else { continue }
            // SAFETY (both): inside by the line above; the worker has not been given the session.
            unsafe legs[number] = kernel_leg()
            unsafe legs[number].family = own.ip.family.kernelNumber
            unsafe legs[number].type_of_service = typeOfService
            unsafe legs[number].local = kernel_address(other.ip)
            unsafe legs[number].local_port = other.port.bigEndian
        }
    }

    /// The session's sockets are closed.
    func remove(session: UInt32) {
        precondition(Int(session) * 2 + 1 < legCapacity)
        for leg in 0..<2 {
            let number = Int(session) * 2 + leg
            // SAFETY (both): inside by the line above; its worker has no session there any more.
            guard unsafe legs[number].family != 0 else { continue }
            var port = unsafe kernel_port(
                address: legs[number ^ 1].local, port: legs[number ^ 1].local_port, family: legs[number].family)
            _ = unsafe kernel_path_remove(path, &port)
        }
        for leg in 0..<2 { unsafe legs[Int(session) * 2 + leg].family = 0 }
    }

    /// What has passed of a leg's stream and the worker has not counted yet. From any thread; the worker may take it into account
    /// while this looks, which its own count tells.
    func pending(_ leg: Int) -> (packets: UInt64, octets: UInt64) {
        precondition(leg >= 0 && leg < legCapacity)
        // SAFETY (all): inside by the line above. What is read while somebody may be writing there is not used.
        for _ in 0..<100 {
            guard unsafe kernel_leg_owner(legs + leg) != KERNEL_LEG_WORKER.rawValue else { break }
            let (packets, octets) = unsafe (kernel_leg_packets(legs + leg), kernel_leg_octets(legs + leg))
            if unsafe kernel_leg_owner(legs + leg) == KERNEL_LEG_KERNEL.rawValue { return (UInt64(packets), octets) }
        }
        return (0, 0)
    }

    // MARK: Workers

    /// What it is as long as no route and no device of the host has changed.
    var routes: UInt32 { unsafe kernel_path_routes(path) }

    /// Looks whether routes or devices have changed; one worker does, now and then. A new device that it can't stand at is left out.
    func followRoutes() {
        if unsafe kernel_path_follow_routes(path) != 0 { try? standAtDevices() }
    }
}

extension KernelPath {
    /// For tests: what becomes of a frame that comes in by the loopback device.
    ///
    /// - Returns: true when it went on, as it was or as another socket's; false when it left by a device. Nil when the kernel does
    ///   not run it.
    func pass(_ frame: inout [UInt8]) -> Bool? {
        let count = UInt32(frame.count)
        let verdict = unsafe frame.withUnsafeMutableBufferPointer { buffer in
            unsafe kernel_path_try(path, buffer.baseAddress!, count)
        }
        return verdict <= -1000 ? nil : verdict == -1
    }
}

/// A worker's own means of finding the way out for a leg's packets.
struct RouteFinder: ~Copyable {
    private let socket: Int32
    /// The last leg it was found for: the next one often has the same carrier.
    private var last = kernel_leg()

    /// - Parameter isNeeded: false: it finds nothing, and takes no descriptor.
    init(isNeeded: Bool) { socket = isNeeded ? kernel_path_route_socket() : -1 }

    deinit { if socket >= 0 { close(socket) } }

    /// Fills in how packets of the leg leave, unless it is known; false when the program can't send them there.
    mutating func find(for leg: UnsafeMutablePointer<kernel_leg>, routes: UInt32) -> Bool {
        guard socket >= 0 else { return false }
        unsafe leg.pointee.routes = routes
        let isSame = unsafe last.mtu != 0 && last.routes == routes && last.family == leg.pointee.family
            && last.destination == leg.pointee.destination && last.local == leg.pointee.local
        if isSame {
            unsafe leg.setWay(of: last)
            return true
        }
        unsafe leg.pointee.mtu = 0
        guard unsafe kernel_path_route(socket, leg) == 0 else { return false }
        unsafe last = leg.pointee
        return true
    }
}

extension IPAddress.Family {
    var kernelNumber: UInt16 { self == .ipv4 ? UInt16(AF_INET) : UInt16(AF_INET6) }
}

extension UnsafeMutablePointer<kernel_leg> {
    func setWay(of other: kernel_leg) {
        unsafe pointee.routes = other.routes
        unsafe pointee.device = other.device
        unsafe pointee.gateway = other.gateway
        unsafe pointee.gateway_family = other.gateway_family
        unsafe pointee.mtu = other.mtu
    }
}

extension kernel_address {
    init(_ address: IPAddress) {
        self.init()
        switch address.family {
        case .ipv4: words.0 = UInt32(truncatingIfNeeded: address.low).bigEndian
        case .ipv6:
            words.0 = UInt32(truncatingIfNeeded: address.high >> 32).bigEndian
            words.1 = UInt32(truncatingIfNeeded: address.high).bigEndian
            words.2 = UInt32(truncatingIfNeeded: address.low >> 32).bigEndian
            words.3 = UInt32(truncatingIfNeeded: address.low).bigEndian
        }
    }
}

extension kernel_port {
    init(_ address: SocketAddress) {
        self.init(address: kernel_address(address.ip), port: address.port.bigEndian, family: address.ip.family.kernelNumber)
    }
}

func == (left: kernel_address, right: kernel_address) -> Bool {
    left.words.0 == right.words.0 && left.words.1 == right.words.1 && left.words.2 == right.words.2
        && left.words.3 == right.words.3
}
