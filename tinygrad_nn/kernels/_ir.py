"""What both writers of vector code need of LLVM's instructions. Imports llvmlite alone."""

from llvmlite import ir

INDEX, BYTE, SMALL = ir.IntType(64), ir.IntType(8), ir.IntType(32)
CONTRACT = ("contract",)                # x * y + z may round once; nothing else is relaxed


def spread(b, number, lanes):
    """A vector of one number."""
    none = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    first = b.insert_element(none, number, SMALL(0))
    return b.shuffle_vector(first, none, ir.Constant(ir.VectorType(SMALL, lanes), None))


def halves(b, vector, lanes):
    """The first and the last half of a vector's elements."""
    n = lanes // 2
    return [b.shuffle_vector(vector, vector, ir.Constant(
        ir.VectorType(SMALL, n), list(range(k, k + n)))) for k in (0, n)]


def load_some(b, pointer, vector, align, mask):
    """A vector with zeros, and no access to memory, outside of the mask."""
    return _masked(b, "load", vector, vector, [pointer, SMALL(align), mask,
                                               ir.Constant(vector, None)])


def store_some(b, value, pointer, align, mask):
    """Store the elements of the mask."""
    _masked(b, "store", ir.VoidType(), value.type, [value, pointer, SMALL(align), mask])


def _masked(b, access, result, vector, arguments):
    """Call LLVM's function of that name for such vectors."""
    element = vector.element
    short = (f"i{element.width}" if isinstance(element, ir.IntType)
             else "f32" if isinstance(element, ir.FloatType) else "f64")
    name = f"llvm.masked.{access}.v{vector.count}{short}.p0"
    function = b.module.globals.get(name) or ir.Function(
        b.module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return b.call(function, arguments)
