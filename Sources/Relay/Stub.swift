import Synchronization
public import Core
public struct SessionID: Hashable, Sendable, BitwiseCopyable { public let index: UInt32; public let generation: UInt32
  public init(index: UInt32, generation: UInt32) { self.index = index; self.generation = generation } }
public struct ExpectedSource: Hashable, Sendable, BitwiseCopyable { public var rtp: SocketAddress; public var rtcp: SocketAddress; public var signalling: IPAddress
  public init(rtp: SocketAddress, rtcp: SocketAddress, signalling: IPAddress) { self.rtp = rtp; self.rtcp = rtcp; self.signalling = signalling } }
public enum RelayCommand: Sendable { case open(SessionID, caller: SocketAddress, callee: SocketAddress), expect(SessionID, Leg, ExpectedSource), close(SessionID), stop }
public enum RelayEvent: Sendable { case opened(SessionID), openFailed(SessionID, errno: Int32, address: SocketAddress), locked(SessionID, Leg, SocketAddress), closed(SessionID), stopped(worker: Int) }
public struct LegStatistics: Sendable { public var lastPacket: Instant?; public var packets: UInt64 = 0; public var octets: UInt64 = 0; public var lost: UInt64 = 0; public var strangersDropped: UInt64 = 0
  public init() {} }
public final class ActivityTable: Sendable {
  let slots: Mutex<[UInt64]>
  public init(capacity: Int) { slots = Mutex(Array(repeating: 0, count: capacity * 2)) }
  public func clear(_ s: UInt32) { slots.withLock { $0[Int(s) * 2] = 0; $0[Int(s) * 2 + 1] = 0 } }
  public func last(_ s: UInt32, _ leg: Leg) -> Instant? { slots.withLock { $0[Int(s) * 2 + Int(leg.rawValue)] == 0 ? nil : Instant(nanoseconds: $0[Int(s) * 2 + Int(leg.rawValue)]) } }
  public func touch(_ s: UInt32, _ leg: Leg, at: Instant) { slots.withLock { $0[Int(s) * 2 + Int(leg.rawValue)] = at.nanoseconds } } }
public final class StatisticsTable: Sendable { public init(capacity: Int) {}
  public func snapshot(_ s: UInt32, _ leg: Leg) -> LegStatistics { LegStatistics() } }
public struct SessionAllocator: Sendable {
  var free: [UInt32]; var generations: [UInt32]
  public init(workers: Int, capacity: Int) { free = (0..<UInt32(capacity)).reversed(); generations = Array(repeating: 0, count: capacity) }
  public mutating func take() -> SessionID? { free.popLast().map { SessionID(index: $0, generation: generations[Int($0)]) } }
  public mutating func giveBack(_ s: SessionID) { generations[Int(s.index)] += 1; free.append(s.index) } }
