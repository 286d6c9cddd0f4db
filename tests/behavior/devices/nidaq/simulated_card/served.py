"""The simulated card's service under NI's own method names, as its gRPC device server has them."""

from collections.abc import Callable
from typing import Any

import grpc
from nidaqmx._stubs import nidaqmx_pb2 as pb

from tests.behavior.devices.nidaq.simulated_card.service import Service, method
from tests.behavior.devices.nidaq.simulated_card.tasks import DaqError


def generic_handler(service: Service) -> grpc.GenericRpcHandler:
    """Return the servicer of all known calls, under NI's method names."""

    def answer(name: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return service.handle(name, request)
            except DaqError as error:
                context.set_trailing_metadata((("ni-error", str(error.code)),))
                context.abort(grpc.StatusCode.UNKNOWN, str(error))

        return call

    methods = pb.DESCRIPTOR.services_by_name["NiDAQmx"].methods
    known = [one.name for one in methods if hasattr(Service, method(one.name))]
    return grpc.method_handlers_generic_handler(
        "nidaqmx_grpc.NiDAQmx",
        {
            name: grpc.unary_unary_rpc_method_handler(
                answer(name),
                request_deserializer=getattr(pb, f"{name}Request").FromString,
                response_serializer=getattr(pb, f"{name}Response").SerializeToString,
            )
            for name in known
        },
    )
