import Core
import Glibc
import Testing

@testable import Uring

func raiseUserSignal() { _ = pthread_kill(pthread_self(), SIGUSR1) }

private func temporaryPath() -> String { "/tmp/relayd-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).sock" }

@Suite("Sockets and start-up")
struct SocketTests {
    @Test("a taken port is refused, and given back when its socket goes")
    func takenPort() throws {
        var address = anyPort
        do {
            let socket = try DatagramSocket(bindingTo: anyPort, typeOfService: 0xb8)
            address = try socket.localAddress
            #expect(throws: Errno.addressInUse) { _ = try DatagramSocket(bindingTo: address) }
        }
        _ = try DatagramSocket.listener(on: address)
    }

    @Test("ICMP about a datagram is told with its destination, its octets and who says it, and the next datagram goes out", arguments: [
        IPAddress.ipv4Loopback, .ipv6Loopback,
    ])
    func reportsErrors(ip: IPAddress) throws {
        let socket = try DatagramSocket(bindingTo: SocketAddress(ip: ip, port: 0))
        try socket.reportErrors()
        let none: DatagramError? = socket.takeError()
        #expect(none == nil)
        let closed = try DatagramSocket(bindingTo: SocketAddress(ip: ip, port: 0)).localAddress
        let octets = [UInt8](repeating: 7, count: 300)
        try socket.send(octets.span, to: closed)
        let listening = try DatagramSocket(bindingTo: SocketAddress(ip: ip, port: 0))
        let other = try listening.localAddress
        // The kernel tells of the error by the next call, whomever that is for.
        #expect(throws: Errno.refused) { try socket.send([1].span, to: other) }
        #expect(Errno.refused.mayBeAboutAnother && !Errno(code: EAGAIN).mayBeAboutAnother && !Errno(code: EPERM).mayBeAboutAnother)
        let taken: DatagramError? = socket.takeError()
        let error = try #require(taken)
        #expect(error.destination == closed && error.errno == ECONNREFUSED && error.reporter == ip && error.quoted == octets)
        #expect(error.icmp.meaning == .portUnreachable && error.icmp.isIPv6 == (ip.family == .ipv6))
        let next: DatagramError? = socket.takeError()
        #expect(next == nil)
        try socket.send([1].span, to: listening.localAddress)
        #expect(try listening.receive()?.octets == [1])
    }

    @Test("a listener is open to owner and group, accepts, and removes its file")
    func unixListener() throws {
        let path = temporaryPath()
        do {
            let listener = try UnixListener(path: path)
            var status = stat()
            #expect(unsafe lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o660)

            var ring = try Ring()
            var pool = try BufferPool(ring: ring, group: 1, count: 8)
            ring.accept(on: listener, token: Token(kind: 1))
            let client = try StreamSocket(connectingTo: path)
            let accepted = try #require(try completions(of: &ring, count: 1).first { $0.token.kind == 1 })
            let server = StreamSocket(accepted: accepted.result)
            ring.receive(on: server.file, into: pool, token: Token(kind: 2))
            #expect(try client.write(Array("hello".utf8).span) == 5)
            let received = try #require(try completions(of: &ring, count: 1).first)
            #expect(pool.slice(received).count == 5)
            pool.recycle(received.bufferID)
            pool.publish()
            #expect(try server.write(Array("you".utf8).span) == 3)
            #expect(try client.read() == Array("you".utf8))
            #expect(throws: Errno.addressInUse) { _ = try UnixListener(path: path) }
        }
        var status = stat()
        #expect(unsafe lstat(path, &status) != 0)
    }

    @Test("a stale socket file is replaced, any other file is not")
    func staleSocket() throws {
        let path = temporaryPath()
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = UInt16(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(descriptor, pointer, UInt32(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(descriptor)
        do { _ = try UnixListener(path: path) }

        let file = unsafe open(path, O_CREAT | O_WRONLY, 0o600)
        close(file)
        #expect(throws: Errno(code: EEXIST)) { _ = try UnixListener(path: path) }
        _ = unsafe unlink(path)
    }

    @Test("a refused io_uring is explained by the sysctl, by seccomp or by the kernel")
    func explanations() {
        #expect(RingError(setup: .notPermitted, sysctl: 2) == .switchedOff(sysctl: 2))
        #expect("\(RingError(setup: .notPermitted, sysctl: 1))".contains("kernel.io_uring_disabled = 1"))
        #expect(RingError(setup: .notPermitted, sysctl: 0) == .filtered(.notPermitted))
        #expect(RingError(setup: .notImplemented, sysctl: 0) == .filtered(.notImplemented))
        #expect("\(RingError(setup: .notPermitted, sysctl: 0))".contains("seccomp"))
        #expect(RingError(setup: .notImplemented, sysctl: nil) == .notBuiltIn)
        #expect(RingError(setup: .invalidArgument, sysctl: 0) == .kernelTooOld)
        #expect(RingError(setup: .outOfMemory, sysctl: 0) == .failed(step: "io_uring_setup", .outOfMemory))
    }

    @Test("the system's limits are read")
    func limits() {
        #expect(SystemLimits.raiseDescriptorLimit() > 0)
        #expect(SystemLimits.ephemeralPorts != nil)
        #expect(Errno(code: 98).description == "EADDRINUSE (Address already in use)")
    }
}

@Suite struct AllowedProcessorTests {
    @Test("the kernel's list of CPUs is read", arguments: [
        ("\t0-3,8,10-11", [0, 1, 2, 3, 8, 10, 11]), ("5", [5]), ("", []), ("3-1", []), ("x", []),
    ])
    func list(text: String, processors: [Int]) { #expect(SystemLimits.processors(in: text) == processors) }

    @Test("a thread keeps off the CPUs it is told to, and so does one that it starts; not off all there are")
    func keepsOff() throws {
        let processors = SystemLimits.allowedProcessors
        let lists = try onThread { () throws(Errno) in
            Thread.keepOff(cpus: Array(processors.prefix(1)))
            return [ownProcessors(), (try? onThread { () throws(Errno) in ownProcessors() }) ?? []]
        }
        let rest = processors.count > 1 ? Array(processors.dropFirst()) : processors
        #expect(lists == [rest, rest])
        let all = try onThread { () throws(Errno) in
            Thread.keepOff(cpus: processors)
            return ownProcessors()
        }
        #expect(all == processors)
    }

    @Test("this process may run somewhere")
    func own() { #expect(!SystemLimits.allowedProcessors.isEmpty) }
}

/// Where the calling thread may run.
private func ownProcessors() -> [Int] {
    let field = "Cpus_allowed_list:"
    let line = SystemLimits.text(ofFile: "/proc/thread-self/status")?.split(separator: "\n").first { $0.hasPrefix(field) }
    return SystemLimits.processors(in: line?.dropFirst(field.count) ?? "")
}
