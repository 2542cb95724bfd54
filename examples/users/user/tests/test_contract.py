"""The service does what its OpenAPI document says, whatever cities and roles the others have."""

from sanic_ms.testing import check_contract

CITY = {"id": 1, "name": "Shanghai", "province": {"id": 1, "name": "Shanghai"}}


def test_the_service_holds_its_document(service, mock_services):
    mock_services.get("/cities/{id}", payload=CITY, service="region-service")
    mock_services.get("/roles/{id}", payload={"id": 1, "name": "admin"}, service="role-service")
    report = check_contract(service, services=mock_services, examples=5)
    assert report.is_complete
