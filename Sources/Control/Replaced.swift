/// A property of an object that is replaced as a whole, also where it reads as if it were changed in place.
///
/// Who looks at a property that is changed in place pays, at each look, for a check that nobody is in the middle of changing it:
/// so what every step looks at and few change is `@Replaced`.
@propertyWrapper
struct Replaced<Value> {
    private var value: Value

    @inline(__always)
    init(wrappedValue: Value) { value = wrappedValue }

    var wrappedValue: Value {
        @inline(__always) get { value }
        @inline(__always) set { value = newValue }
    }
}
