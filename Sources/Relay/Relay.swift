import Core
/// Placeholder until the relay engine.
