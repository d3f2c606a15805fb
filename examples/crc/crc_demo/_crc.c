#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *crc32c(PyObject *module, PyObject *arguments) {
    Py_buffer bytes;
    if (!PyArg_ParseTuple(arguments, "y*", &bytes)) return NULL;
    unsigned int crc = 0xFFFFFFFFu;
    const unsigned char *byte = bytes.buf;
    for (Py_ssize_t i = 0; i < bytes.len; i++) {
        crc ^= byte[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
    }
    PyBuffer_Release(&bytes);
    return PyLong_FromUnsignedLong(crc ^ 0xFFFFFFFFu);
}

static PyMethodDef methods[] = {{"crc32c", crc32c, METH_VARARGS, "The CRC-32C of bytes."}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_crc", NULL, -1, methods};

PyMODINIT_FUNC PyInit__crc(void) { return PyModule_Create(&module); }
