"""The schemes of TDS 1.x, which epcpy reads and writes."""

import warnings

with warnings.catch_warnings():
    # epcpy's sources carry escapes that Python warns of when it first compiles them.
    warnings.simplefilter("ignore")
    from epcpy import ConvertException
    from epcpy.epc_schemes.base_scheme import TagEncodable
    from epcpy.epc_schemes.giai import GIAI
    from epcpy.epc_schemes.gid import GID
    from epcpy.epc_schemes.grai import GRAI, GRAIFilterValue
    from epcpy.epc_schemes.sgln import SGLN
    from epcpy.epc_schemes.sgtin import SGTIN, SGTINFilterValue
    from epcpy.epc_schemes.sscc import SSCC, SSCCFilterValue

__all__ = [
    "GIAI",
    "GID",
    "GRAI",
    "SGLN",
    "SGTIN",
    "SSCC",
    "ConvertException",
    "GRAIFilterValue",
    "SGTINFilterValue",
    "SSCCFilterValue",
    "TagEncodable",
]
