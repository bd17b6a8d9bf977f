/// A property of a class that is replaced as a whole where code changes it in place: a look at it then needs no check at run time
/// that nobody is in the middle of changing it. For what every step looks at and few change.
@propertyWrapper
struct Replaced<Value> {
    private var value: Value

    @inline(__always)
    init(wrappedValue: Value) { value = wrappedValue }

    @inline(__always)
    var wrappedValue: Value {
        get { value }
        set { value = newValue }
    }
}
