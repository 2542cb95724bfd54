"""The service does what its OpenAPI document says: requests are made out of it, valid and not."""

from sanic_ms.testing import check_contract


def test_the_service_holds_its_document(service):
    report = check_contract(service, examples=5)
    assert report.is_complete
