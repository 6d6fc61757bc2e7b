extension Array {
    /// Moves an element out, where reading it would copy it. Something else takes its place.
    @inlinable
    package mutating func take(at index: Int, leaving rest: consuming Element) -> Element {
        swap(&self[index], &rest)
        return rest
    }
}
